"""Sound that can be played where it is."""

import base64

import pytest

from officeai_proxy.formats.writing.blocks import Block, Kind
from officeai_proxy.page.sounds import address_of


def block(text: str = "", data: str = "") -> Block:
    """An attachment, as `blocks_of` makes it."""
    return Block(Kind.MEDIA, text, "input_audio", data)


@pytest.mark.parametrize(
    ("format_", "beginning", "kind"),
    [
        ("wav", b"", "audio/wav"),
        ("MP3", b"", "audio/mpeg"),
        ("", b"RIFF\x24\x08\x00\x00WAVE", "audio/wav"),
        ("", b"ID3\x04", "audio/mpeg"),
        ("", b"\xff\xfb\x90\x64", "audio/mpeg"),
        ("", b"\xff\xf3\x40\xc4", "audio/mpeg"),
        ("", b"fLaC\x00", "audio/flac"),
        ("", b"OggS\x00", "audio/ogg"),
    ],
)
def test_what_can_be_played(format_: str, beginning: bytes, kind: str) -> None:
    """By the name of its format, or by how it begins."""
    data = base64.b64encode(beginning + b"sound").decode()
    assert address_of(block(format_, data)) == f"data:{kind};base64,{data}"


def test_an_address_that_is_the_sound() -> None:
    """Other servers take it as they take pictures."""
    address = "data:audio/x-wav;base64,UklGRg=="
    assert address_of(block(address)) == address


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", ""),
        ("wav", ""),
        ("wav", 'AAAA" onerror="alert(1)'),
        ("pcm16", "AAAA"),
        ("", "AAAA"),
        ("https://a.example/x.wav", ""),
        ("data:text/html;base64,AAAA", ""),
        ("data:audio/wav,AAAA", ""),
    ],
)
def test_what_cannot_be_played(text: str, data: str) -> None:
    """Raw samples, what is no sound, what lies elsewhere, what is not whole."""
    assert address_of(block(text, data)) is None
