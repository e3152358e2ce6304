"""Names of files: safe on every system, readable where they can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.formats.file_names import MAX_NAME, safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/absolute", "_absolute"),
        ("C:\\Windows", "C__Windows"),
        ("..", ""),
        (" . ", ""),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie_ x"),
        ('say "hi"', "say _hi_"),
        ("evil\u202egpj.exe", "evil gpj.exe"),
        ("会话 一", "会话 一"),
        ("a" * 100, "a" * MAX_NAME),
    ],
)
def test_names(text: str, name: str):
    """What leads elsewhere, names a device or is invisible is taken out; letters stay."""
    assert safe_name(text) == name


@given(st.text())
def test_no_name_leads_anywhere(text: str):
    """Whatever the text is, the name is a plain one, or there is none."""
    name = safe_name(text)

    assert not set(name) & set('/\\:*?"<>|\0\r\n')
    assert name in ("", name.strip(" ."))
    assert len(name) <= MAX_NAME + 1
    assert safe_name(name)[:MAX_NAME] in (name[:MAX_NAME], f"_{name}"[:MAX_NAME])
