"""Text that every database can hold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.wire.cleantext import clean_text


def test_what_postgresql_refuses_is_made_visible() -> None:
    """NUL becomes its picture and a lone surrogate the replacement character."""
    assert clean_text("a\0b") == "a␀b"
    assert clean_text("é\0\ud83d!\udc00") == "é␀\ufffd!\ufffd"


def test_ordinary_text_is_left_alone() -> None:
    """Letters, emoji, Chinese and control characters other than NUL pass."""
    text = "Grüße 你好 😀 \x01\t\r\n\ufffe\uffff"
    assert clean_text(text) == text


@given(st.text(st.characters(exclude_categories=())))
@settings(deadline=None)
def test_clean_text_has_as_many_characters_and_is_clean(text: str) -> None:
    """Cleaning keeps the length, ends with storable text, and does nothing the second time."""
    clean = clean_text(text)
    assert len(clean) == len(text)
    assert "\0" not in clean
    clean.encode()
    assert clean_text(clean) == clean
