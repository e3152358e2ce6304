"""What `serve` says at its start: a first call that can be copied and works."""

import pytest

from officeai_proxy.cli.serving import FirstKey, banner
from officeai_proxy.settings import Settings


@pytest.mark.parametrize(
    ("aliases", "model"),
    [
        ({}, "gpt-4o-mini"),
        ({"hear": "whisper-1", "officeai": "gpt-4o"}, "officeai"),
        ({"hear": "gpt-4o-transcribe", "find": "text-embedding-3-small"}, "gpt-4o-mini"),
        ({"draw": "local", "bge": "BAAI/bge-m3"}, "draw"),
    ],
)
def test_the_first_call_names_a_model_that_chats(aliases: dict[str, str], model: str) -> None:
    """A model for speech or for search would answer it with an error."""
    told = banner(
        Settings(model_aliases=aliases), keys=FirstKey("sk-key", "once"), database_note="a file"
    )

    assert f'{{"model": "{model}", "messages"' in told
