"""Settings whose values are read, not only checked."""

import base64
import traceback

import pytest

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.settings import load_settings

SECRET = base64.b64encode(b"x" * 32).decode()


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        (SECRET, "entry 1 needs an id"),
        (f":{SECRET}", "entry 1 needs an id"),
        (f"ä:{SECRET}", "entry 1 needs an id"),
        (f"{'k' * 33}:{SECRET}", "entry 1 needs an id"),
        (f"k1:{SECRET},k1:{SECRET}", "entry 2 needs an id of its own"),
        (f"k1:{SECRET},k2:{SECRET[:-8]}", "entry 2 must be id:base64 of 32 bytes"),
        (f"k1:{SECRET}{SECRET}", "entry 1 must be id:base64 of 32 bytes"),
        (f"k1:?{SECRET[1:]}", "entry 1 must be id:base64 of 32 bytes"),
    ],
)
def test_wrong_encryption_keys_are_told_without_them(keys: str, complaint: str) -> None:
    """The message names the setting and the entry, in one line, and shows no key."""
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load_settings(encryption_keys=keys)

    assert caught.value.message.startswith("OFFICEAI_ENCRYPTION_KEYS: ")
    assert "\n" not in caught.value.message
    assert SECRET[8:20] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("password", ["canary/more", "canary\u2100", "canary]"])
def test_a_password_in_a_base_url_is_not_told(password: str) -> None:
    """Where the password breaks the URL apart, nobody's words about it repeat it."""
    with pytest.raises(ConfigurationError, match="must be a URL such as") as caught:
        load_settings(upstream_base_url=f"http://bob:{password}@llm.example/v1")

    assert "canary" not in caught.value.message
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_encryption_keys_keep_their_order() -> None:
    """The first one seals; spaces and a comma at the end do not matter."""
    settings = load_settings(encryption_keys=f" new:{SECRET} , old:{SECRET},")

    assert list(settings.encryption_secrets) == ["new", "old"]
    assert settings.encryption_secrets["old"] == b"x" * 32
    assert "eHh4" not in repr(settings)
    assert load_settings().encryption_secrets == {}
