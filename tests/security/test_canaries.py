"""Secrets stay secret: searched for in all that the program writes and answers, failures included.

Each secret is a word that stands nowhere else. The program runs at `debug`.
"""

import os
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import trustme
from tests.databases import TEMPLATE, PostgresServer, free_port
from tests.journey.wires import Wire, chat, until
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, echo

from officeai_proxy.cli import main

KEY = "sk-oai-canaryproxykey0123456789abcdefghijklmnopqrst"
UPSTREAM_KEY = "sk-canaryupstreamkey0123456789"
PASSWORD = "canarydatabasepassword"
TEXT = "canarymessagetext"
SECRETS = (KEY, UPSTREAM_KEY, PASSWORD)

CHATS = "/v1/chat/completions"

_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


@dataclass
class Listening:
    """A proxy, and all that it answered."""

    proxy: RunningProxy
    answers: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, *, key: str = KEY, **more: Any) -> httpx.Response:
        """Make a request, whose answer is kept."""
        with httpx.Client(base_url=self.proxy.root, timeout=60, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
            response = client.request(method, path, headers=headers, **more)
        self.answers.append(f"{response.headers}\n{response.text}")
        return response

    def arguments(self) -> str:
        """The command lines of the program and of its children, as `ps` shows them."""
        group = os.getpgid(self.proxy.process.pid)
        lines = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(folder.name)) == group:
                    lines.append((folder / "cmdline").read_text())
            except (ProcessLookupError, FileNotFoundError):
                continue
        assert lines
        return "\n".join(lines)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    """An upstream that echoes."""
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def healthy(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: ScriptedUpstream,
    postgres_server: PostgresServer,
) -> Iterator[Listening]:
    """A proxy on PostgreSQL, whose password is checked by nobody; made with a umask of 000."""
    name = f"test_{uuid4().hex}"
    url = postgres_server.create(name, template=TEMPLATE).replace("@", f":{PASSWORD}@")
    settings = {
        "UPSTREAM_BASE_URL": upstream.base_url,
        "UPSTREAM_API_KEY": UPSTREAM_KEY,
        "DATABASE_URL": url,
        "LOG_LEVEL": "debug",
        "WORKERS": "2",
    }
    proxy = CopiedProxy(tmp_path_factory.mktemp("healthy"), settings, key=KEY)
    with umask(0):
        proxy.start()
    yield Listening(proxy)
    proxy.kill()
    postgres_server.drop(name)


@pytest.fixture(scope="module")
def ailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A proxy whose database is away and whose upstream's certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with ScriptedUpstream(ssl=context) as untrusted:
        settings = {
            "UPSTREAM_BASE_URL": untrusted.base_url,
            "UPSTREAM_API_KEY": UPSTREAM_KEY,
            "DATABASE_URL": f"postgresql://postgres:{PASSWORD}@127.0.0.1:{free_port()}/nothing",
            "LOG_LEVEL": "debug",
        }
        proxy = CopiedProxy(tmp_path_factory.mktemp("ailing"), settings, key=KEY)
        with proxy:
            yield Listening(proxy)


def assert_nothing_leaked(listening: Listening, *, also: tuple[str, ...] = ()) -> None:
    """No secret is in a log, an answer, a banner or a process list, nor in a file of data."""
    proxy = listening.proxy
    places = {
        "log": proxy.stderr(),
        "banner": proxy.banner,
        "ps": listening.arguments(),
        "answers": "\n".join(listening.answers),
    }
    for name, content in places.items():
        for secret in (*SECRETS, *also):
            assert secret not in content, f"{secret} in {name}"
    for file in (proxy.folder / "data").rglob("*"):
        # The program replaces some of its files while they are looked at.
        with suppress(FileNotFoundError, IsADirectoryError):
            content_of_file = file.read_bytes()
            for secret in SECRETS:
                assert secret.encode() not in content_of_file, file


def test_nothing_leaks_where_all_is_well(healthy: Listening, upstream: ScriptedUpstream) -> None:
    """Calls, refusals and reads: no key anywhere, and no word of a message but where it belongs."""
    said: dict[str, Any] = {"headers": {"X-Session-ID": "canary", "X-User-ID": "ann"}}
    assert healthy.ask("POST", CHATS, content=chat("no secret"), **said).status_code == 200
    assert healthy.ask("POST", CHATS, content=chat("no", stream=True), **said).status_code == 200
    assert healthy.ask("POST", CHATS, content=TEXT.encode(), **said).status_code == 400
    assert healthy.ask("POST", CHATS, content=b'{"model": ["' + TEXT.encode() + b'"]}').status_code
    assert healthy.ask("POST", CHATS, key=f"{KEY}x", content=chat(TEXT)).status_code == 401
    # Ann's: titles say what others say in other tests.
    mine = f"/conversations?user_identifier=ann&key={KEY[:-1]}"
    assert healthy.ask("GET", mine).status_code == 200
    for path in ("/openapi.json", "/health", "/history", "/audit", "/metrics", "/stats", "/keys"):
        assert healthy.ask("GET", path).status_code < 500
    refused = {"title": TEXT, "metadata": 7}
    assert healthy.ask("POST", "/conversations/", json=refused).status_code == 422
    with httpx.Client(base_url=healthy.proxy.root, timeout=60, trust_env=False) as quiet:
        good = {"Authorization": f"Bearer {KEY}", **said["headers"]}
        assert quiet.post(CHATS, content=chat(TEXT), headers=good).status_code == 200
        assert TEXT in quiet.get("/conversations/canary", headers=good).text

    assert {request.header("authorization") for request in upstream.requests} == {
        f"Bearer {UPSTREAM_KEY}"
    }
    assert_nothing_leaked(healthy, also=(TEXT,))


async def _refuses_key(_: ReceivedRequest, answer: Answer) -> None:
    body = f'{{"error": {{"message": "Incorrect API key provided: {UPSTREAM_KEY}"}}}}'
    await answer.whole(body.encode(), status=401)


def test_an_upstream_that_repeats_our_key_tells_nobody(
    healthy: Listening, upstream: ScriptedUpstream
) -> None:
    """OpenAI's refusal shows the key it got; the caller sees ours instead."""
    upstream.script = _refuses_key
    try:
        answer = healthy.ask("POST", CHATS, content=chat(TEXT), headers={"X-Session-ID": "no"})
    finally:
        upstream.script = echo

    assert answer.status_code == 502
    assert_nothing_leaked(healthy, also=(TEXT,))


def test_nothing_leaks_where_nothing_works(ailing: Listening) -> None:
    """No upstream, no database: what is said about it names neither key nor password."""
    call: dict[str, Any] = {"content": chat(TEXT), "headers": {"X-Session-ID": "canary"}}
    assert ailing.ask("POST", CHATS, **call).status_code == 502
    for path in ("/conversations/search?q=x", "/health"):
        assert ailing.ask("GET", path).status_code in (200, 404, 503)
    until(lambda: "cannot be prepared" in ailing.proxy.stderr())

    assert_nothing_leaked(ailing, also=(TEXT,))


WRONG = {
    "other-scheme": f"mysql://user:{PASSWORD}@host/db",
    "bad-port": f"postgresql://user:{PASSWORD}@host:notaport/db",
    "away": f"postgresql://user:{PASSWORD}@127.0.0.1:1/db",
    "no-database": f"postgresql://user:{PASSWORD}@127.0.0.1:1",
    "odd-option": f"postgresql://user:{PASSWORD}@127.0.0.1:1/db?nonsense=1",
}


@pytest.mark.parametrize("command", ["db check", "doctor", "keys list"])
@pytest.mark.parametrize("url", WRONG.values(), ids=WRONG)
def test_a_wrong_address_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, url: str
) -> None:
    """Whatever is wrong with a database's address, its password is not printed."""
    monkeypatch.setenv("OFFICEAI_DATABASE_URL", url)
    monkeypatch.setenv("OFFICEAI_API_KEYS", KEY)
    monkeypatch.setenv("OFFICEAI_UPSTREAM_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setattr(sys, "argv", ["officeai-proxy", *command.split()])

    with pytest.raises(SystemExit) as ended:
        main()

    printed = "".join(capsys.readouterr())
    assert ended.value.code not in (0, None)
    assert printed
    assert PASSWORD not in printed
    assert KEY not in printed
    assert "Traceback" not in printed


FORGED = "2026-01-01 00:00:00,000 INFO officeai_proxy: forged"


def test_no_client_writes_lines_of_the_log(healthy: Listening, upstream: ScriptedUpstream) -> None:
    """Line breaks, escapes and endless texts, wherever a client can put them: every line of the
    log is one of ours, and none is very long.
    """
    nasty = f"a\r\n{FORGED}\x1b[2J\u2028{FORGED}" + "x" * 50_000
    healthy.ask("POST", CHATS, content=chat("hi", model=nasty))
    healthy.ask("POST", CHATS, content=chat(nasty), headers={"X-Session-ID": "log"})
    healthy.ask("POST", "/conversations/", json={"title": nasty[:200], "user_identifier": nasty})
    healthy.ask("GET", "/conversations/search", params={"q": nasty[:900]})
    healthy.ask("GET", "/conversations/a%0d%0a" + FORGED.replace(" ", "%20") + "%1b%e2%80%a8")
    for target in (f"/%0a{FORGED.replace(' ', '%20')}", "/\x1b[2J", f"/v1/{'x' * 9000}"):
        with Wire(healthy.proxy) as wire:
            wire.send(f"GET {target} HTTP/1.1\r\nHost: \x1b[2J{FORGED}\r\n\r\n".encode())
            wire.reply()

    async def breaks(_: ReceivedRequest, answer: Answer) -> None:
        await answer.raw(f"HTTP/1.1 200 {FORGED}\x1b[2J\r\nX-A\x1b: \x00\r\n\r\n".encode())
        answer.close()

    upstream.script = breaks
    try:
        healthy.ask("POST", CHATS, content=chat("hi"))
    finally:
        upstream.script = echo

    log = healthy.proxy.stderr()
    for line in log.splitlines():
        assert _RECORD.match(line) or line.startswith("    "), line[:200]
        assert not line.startswith(FORGED)
        assert len(line) < 25_000
    assert "\x1b" not in log


def open_to_others(path: Path) -> bool:
    """Whether others may look into *path*; one that is gone by now, nobody may."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except FileNotFoundError:
        return False


def test_only_the_owner_can_read_the_data(healthy: Listening) -> None:
    """Whatever the umask, files are 0600 and folders 0700."""
    healthy.ask("POST", CHATS, content=chat("hi"), headers={"X-Session-ID": "modes"})
    folder = healthy.proxy.folder / "data"
    found = [folder, *folder.rglob("*")]

    assert len(found) > 3
    assert [one for one in found if open_to_others(one)] == []


def test_only_the_owner_can_read_a_sqlite_database(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """The database, its WAL and its index for shared memory, too."""
    settings = {"UPSTREAM_BASE_URL": upstream.base_url}
    with umask(0), CopiedProxy(tmp_path / "run", settings) as proxy:
        proxy.get("/conversations")
        data = tmp_path / "run" / "data"
        names = {one.name for one in data.iterdir()}
        wide_open = [one for one in data.rglob("*") if open_to_others(one)]

    assert {"officeai.db", "officeai.db-wal", "officeai.db-shm"} <= names
    assert wide_open == []
