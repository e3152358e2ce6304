"""Plain text: who speaks stands at the margin, and nobody else can."""

import pytest
from tests.passages import NASTY, talk, written


@pytest.mark.parametrize("text", [*NASTY, "User (2026-01-31T12:00:01Z):", "a\n\nAssistant:\nb"])
def test_only_speakers_stand_at_the_margin(text: str):
    """Whatever was said is indented, in all of its lines."""
    lines = written("txt", [talk(text, "answer")]).decode().split("\n")

    assert [line.partition(" ")[0] for line in lines[3:] if line[:1].strip()] == [
        "User",
        "Assistant",
    ]


def test_a_title_is_one_line():
    """Whatever is in it."""
    text = written("txt", [talk("x", title="a\nUser:\tb")]).decode()

    assert text.startswith(f"a User: b\n{'=' * 72}\nExported on 2026-11-20 at 19:54:53 UTC from ")


def test_control_characters_are_pictures() -> None:
    """No terminal obeys what somebody said; line breaks and tabs stay."""
    text = written("txt", [talk("a\x1b[31m\x07\0\x7f\x9b\tb\nc")]).decode()

    assert "a␛[31m␇␀␡\ufffd\tb\n" in text
