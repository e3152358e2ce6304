"""Forms: what is read of them, and a model's name replaced in place."""

import httpx
import pytest

from officeai_proxy.wire.forms import MOST_PARTS, read_form, replace_form_model
from officeai_proxy.wire.requests import ChatRequest

NOTHING = ChatRequest(None, stream=False, messages=())
KIND = "multipart/form-data; boundary=Ab"


def part(value: bytes, *, head: bytes = b'Content-Disposition: form-data; name="model"') -> bytes:
    """A part of a form, as it stands behind a delimiter."""
    return b"\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    """The body of a form of *parts*."""
    return b"".join(b"--Ab" + each for each in parts) + b"--Ab--\r\n"


def renamed(body: bytes, content_type: str = KIND) -> bytes:
    """*body* with `new` in place of `old`."""
    return replace_form_model(body, content_type=content_type, asked="old", sent="new")


def test_a_form_of_a_client_is_read_and_one_name_in_it_changed() -> None:
    """The name may stand behind a file in which other delimiters and fields seem to be."""
    file = b'\r\n--Ab\r\nContent-Disposition: form-data; name="model"\r\n\r\nold\r\n' * 3
    request = httpx.Request(
        "POST",
        "http://x",
        files={"file": ("old.mp3", file), "model": (None, "old"), "stream": (None, "true")},
    )
    body, kind = request.read(), request.headers["content-type"]

    assert read_form(body, content_type=kind) == ChatRequest("old", stream=True, messages=())
    front, _, end = body.rpartition(b"\r\n\r\nold\r\n")
    assert renamed(body, kind) == front + b"\r\n\r\nnew\r\n" + end


@pytest.mark.parametrize(
    "head",
    [
        b"content-disposition: form-data; name=model",
        b'Content-Type: text/plain\r\nContent-Disposition:form-data;name="model"',
        b'CONTENT-DISPOSITION: form-data; name="model"\r\nContent-Type: text/plain',
    ],
)
@pytest.mark.parametrize("kind", [KIND, 'multipart/form-data; charset=utf-8; Boundary="Ab"'])
def test_fields_are_found_however_clients_write_them(head: bytes, kind: str) -> None:
    """Quotes, case, order and blanks differ between clients."""
    body = form(part(b"x", head=b"Content-Disposition: form-data; name=n"), part(b"old", head=head))

    assert read_form(body, content_type=kind).model == "old"
    assert renamed(body, kind) == body.replace(b"old", b"new")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(part(b"old")), "multipart/form-data"),
        (form(part(b"old")), "multipart/form-data; boundary=ab"),
        (b"", KIND),
        (b"--Ab", KIND),
        (b"--Ab--\r\n", KIND),
        (form(part(b"old"))[:-8], KIND),
        (form(b"\r\nold\r\n"), KIND),
        (form(part(b"\xff")), KIND),
        (form(part(b"old", head=b'Content-Disposition: form-data; name="x"; name="model"')), KIND),
        (
            form(
                part(b"old", head=b'Content-Disposition: form-data; name="model"; filename="model"')
            ),
            KIND,
        ),
    ],
)
def test_what_is_no_form_with_a_model_passes_as_it_is(body: bytes, kind: str) -> None:
    """Another boundary, a form that is cut, one without heads, a file of that name."""
    assert read_form(body, content_type=kind) == NOTHING
    assert renamed(body, kind) == body


def test_a_name_that_is_there_twice_is_replaced_twice() -> None:
    """Servers differ in which one they take; an empty one is nobody's."""
    body = form(part(b"old"), part(b""), part(b"old"))

    assert renamed(body) == body.replace(b"old", b"new")
    assert read_form(form(part(b"")), content_type=KIND).model == ""


def test_only_so_many_parts_are_looked_at() -> None:
    """A body of millions of empty parts is passed on as it is."""
    body = form(*[b"\r\n"] * MOST_PARTS, part(b"old"))

    assert read_form(body, content_type=KIND) == NOTHING
