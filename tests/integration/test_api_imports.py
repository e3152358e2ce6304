"""POST /conversations/import: any file as the body, and everything that is refused."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.api import ALICE, KEY, OTHER_TEAM, READER, STRANGER, WRITER, Api
from tests.exports import (
    CURSOR,
    chatgpt_conversation,
    own_conversation,
    own_json,
    own_jsonl,
    webui_export,
)

from officeai_proxy.history import uploads
from officeai_proxy.settings import load_settings

ROUTE = "/conversations/import"
NOTHING = {"imported": 0, "skipped": 0, "failed": 0, "messages": 0, "errors": []}


async def everything(client: httpx.AsyncClient) -> list[str]:
    """The sessions that are there."""
    answer = await client.get("/conversations", params={"deleted": "with"})
    return [one["session_id"] for one in answer.json()["data"]]


@pytest.mark.parametrize(("key", "status"), [(None, 401), (STRANGER, 401), (READER, 403)])
async def test_without_the_right_to_write_nothing_is_read(
    api: Api, key: str | None, status: int
) -> None:
    """A key that may not write is told so before a byte of the file is taken."""

    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with api.client(key) as client:
        answer = await client.post(ROUTE, content=body())

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "param", "status", "words"),
    [
        ({"Content-Type": "multipart/form-data; boundary=x"}, {}, 415, "--data-binary @file"),
        ({"Content-Encoding": "gzip"}, {}, 415, "without Content-Encoding"),
        ({}, {"user_identifier": "a/b"}, 422, "holds a `/`"),
    ],
)
async def test_what_is_asked_wrongly_is_refused(
    client: httpx.AsyncClient,
    headers: dict[str, str],
    param: dict[str, str],
    status: int,
    words: str,
) -> None:
    """A form, a compressed body and a bad name are refused with what to do."""
    answer = await client.post(
        ROUTE, content=own_json(own_conversation()), headers=headers, params=param
    )

    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert await everything(client) == []


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x89PNG\r\n", b"[1]", b'{"a": 1}', b"PK\x03\x04broken", b"[{"]
)
async def test_what_is_none_of_them_is_422(client: httpx.AsyncClient, data: bytes) -> None:
    """A file that is no export is refused in OpenAI's shape, and leaves nothing."""
    answer = await client.post(ROUTE, content=data)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_value"
    assert await everything(client) == []


@pytest.mark.parametrize("announced", [True, False])
async def test_too_large_is_413_and_changes_nothing(api: Api, announced: bool) -> None:
    """A file over the limit is refused, by its announced length or once that much has come."""
    api.services.settings = load_settings(max_import_mb=0.05, _env_file=None)
    data = own_jsonl(*[own_conversation(f"s{number}") for number in range(200)])
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for at in range(0, len(data), 10_000):
            taken += 10_000
            yield data[at : at + 10_000]

    async with api.client() as client:
        answer = await client.post(ROUTE, content=data if announced else body())

        assert answer.status_code == 413
        assert "OFFICEAI_MAX_IMPORT_MB" in answer.json()["error"]["message"]
        assert await everything(client) == []
    assert taken <= 70_000


async def test_one_conversation_too_large_fails_alone(api: Api) -> None:
    """The limit of one conversation is a setting of its own."""
    api.services.settings = load_settings(max_import_item_mb=0.01, _env_file=None)
    data = own_jsonl(own_conversation("s1"), own_conversation("s2", title="x" * 20_000))

    async with api.client() as client:
        answer = await client.post(ROUTE, content=data)

    told = answer.json()
    assert (told["imported"], told["failed"]) == (1, 1)
    assert told["errors"][0]["item"] == 2
    assert "OFFICEAI_MAX_IMPORT_ITEM_MB" in told["errors"][0]["reason"]


async def test_a_disk_without_room_is_503(api: Api, tmp_path: Path) -> None:
    """A file that cannot be received changes nothing, and the answer says what is missing."""
    (tmp_path / "file").touch()
    api.services.settings = load_settings(data_dir=tmp_path / "file" / "data", _env_file=None)

    async with api.client() as client:
        answer = await client.post(ROUTE, content=own_json(own_conversation()))

        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "no_room"
        assert await everything(client) == []


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", None])
async def test_the_type_is_recognised(client: httpx.AsyncClient, kind: str | None) -> None:
    """Whatever the request says of its type, the file itself tells; again changes nothing."""
    headers = {} if kind is None else {"Content-Type": kind}
    for data, messages in (
        (own_json(own_conversation()), 6),
        (json.dumps([chatgpt_conversation()]).encode(), 4),
        (json.dumps([webui_export()]).encode(), 3),
        (CURSOR.encode(), 4),
    ):
        first = await client.post(ROUTE, content=data, headers=headers)
        again = await client.post(ROUTE, content=data, headers=headers)

        assert first.json() == {**NOTHING, "imported": 1, "messages": messages}
        assert again.json() == {**NOTHING, "skipped": 1}

    users = (await client.get("/conversations")).json()["data"]
    assert {one["user_identifier"] for one in users} == {"alice", "imported", "u-1"}


async def test_a_truncated_file_keeps_what_was_whole(client: httpx.AsyncClient) -> None:
    """What was whole is there, and the rest is told as an error."""
    data = own_json(own_conversation("s1"), own_conversation("s2"), own_conversation("s3"))

    answer = await client.post(ROUTE, content=data[: -len(data) // 4])

    told = answer.json()
    assert answer.status_code == 200
    assert (told["imported"], told["failed"]) == (2, 1)
    assert told["errors"] == [{"item": 3, "reason": told["errors"][0]["reason"]}]
    assert "not whole" in told["errors"][0]["reason"]
    assert sorted(await everything(client)) == ["s1", "s2"]


async def test_the_whole_way_by_http(api: Api) -> None:
    """What one team exports, another team imports, and has it as it was, behind its own wall."""
    async with api.client() as client, api.client(OTHER_TEAM) as other:
        await client.post(ROUTE, content=own_json(own_conversation(), own_conversation("s2")))
        exported = await client.get("/conversations/export-all", params={"format": "json"})

        answer = await other.post(ROUTE, content=exported.content)

        assert answer.json() == {**NOTHING, "imported": 2, "messages": 12}
        theirs = await other.get("/conversations/export-all", params={"format": "json"})
        assert theirs.content == exported.content
        told = (await other.get("/conversations/s1")).json()
        assert told["workspace"] == "other"
        assert [message["content"] for message in told["messages"]] == [
            "Be brief.",
            "Everything at once?",
            "",
            "42",
        ]


@pytest.mark.parametrize("kind", ["json", "zip"])
async def test_an_export_of_nothing_comes_back_as_nothing(
    client: httpx.AsyncClient, kind: str
) -> None:
    """Whoever saves a workspace before the first conversation can restore it, too."""
    export = await client.get("/conversations/export-all", params={"format": kind})

    answer = await client.post(ROUTE, content=export.content)

    assert (answer.status_code, answer.json()) == (200, NOTHING)


async def test_half_an_emoji_is_no_other_message_when_it_comes_back(
    client: httpx.AsyncClient,
) -> None:
    """An export tells it as U+FFFD; imported where it came from, it adds nothing."""
    messages = b'[{"role":"user","content":"cut \\ud83d"},{"role":"assistant","content":"yes"}]'
    mine = {"session_id": "s1", "user_identifier": "alice"}
    await client.post("/conversations", json=mine)
    json_body = {"Content-Type": "application/json"}
    await client.post("/conversations/s1/messages", content=messages, headers=json_body)
    exported = await client.get("/conversations/export-all", params={"format": "json"})

    answer = await client.post(ROUTE, content=exported.content)

    assert answer.json() == {**NOTHING, "skipped": 1}


async def test_a_bound_key_writes_its_user_only(api: Api) -> None:
    """Its own conversations come in, others fail one by one; it may name no other user."""
    data = own_jsonl(own_conversation("s1"), own_conversation("s2", user_identifier="bob"))

    async with api.client(ALICE) as client:
        answer = await client.post(ROUTE, content=data)
        refused = await client.post(ROUTE, content=data, params={"user_identifier": "bob"})

        told = answer.json()
        assert (told["imported"], told["failed"]) == (1, 1)
        assert "bound to one user" in told["errors"][0]["reason"]
        assert refused.status_code == 403
        assert await everything(client) == ["s1"]


async def test_a_key_that_may_only_write_is_enough(api: Api) -> None:
    """Importing needs the scope `write` and no other."""
    async with api.client(WRITER) as client:
        answer = await client.post(ROUTE, content=own_json(own_conversation()))

    assert answer.status_code == 200


async def test_the_file_has_no_name_while_it_is_received(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is received lies in the data directory, nameless, and is gone with the answer."""
    monkeypatch.setattr(uploads, "_WRITE_BYTES", 10)
    seen: list[list[str]] = []

    async def body() -> AsyncIterator[bytes]:
        yield b'[{"messages": '
        await asyncio.sleep(0)
        links = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]  # noqa: PTH115 - a link of a deleted file leads nowhere
        seen.append([link for link in links if str(tmp_path / "data") in link])
        assert list((tmp_path / "data").iterdir()) == []
        yield b"[]}]"

    async with api.client() as client:
        answer = await client.post(ROUTE, content=body())

    assert answer.status_code == 200
    assert len(seen[0]) == 1
    assert not [
        one
        for one in Path("/proc/self/fd").iterdir()
        if one.is_symlink() and seen[0][0] == os.readlink(one)  # noqa: PTH115 - as above
    ]


async def test_a_caller_who_leaves_changes_nothing(api: Api) -> None:
    """A body that breaks off is not imported, and the next request is served."""
    data = own_jsonl(own_conversation("s1"), own_conversation("s2"))
    async with api.serving() as root:
        address = urlsplit(root)
        with socket.create_connection((address.hostname, address.port)) as connection:
            head = (
                f"POST {ROUTE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
                f"Content-Length: {len(data) + 1}\r\n\r\n"
            )
            connection.sendall(head.encode() + data)
        async with httpx.AsyncClient(
            base_url=root, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        ) as client:
            assert await everything(client) == []
            answer = await client.post(ROUTE, content=data)
            assert answer.json()["imported"] == 2
