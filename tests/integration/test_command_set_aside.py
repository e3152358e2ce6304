"""`officeai-proxy set-aside`: from a call that cannot be stored to one that is, or is dropped."""

import base64
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.factories import an_exchange, assistant, reply_body, user
from tests.fakes import BadRow, InMemoryExchangeStore
from tests.packages import a_brotli, no_packages, pack

from officeai_proxy import cli
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import ConfigurationError, Conflict, NotFound
from officeai_proxy.model import Exchange
from officeai_proxy.recording import frames
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal import Journal, open_directory
from officeai_proxy.recording.recorder import Recorder
from officeai_proxy.recording.setaside import SetAsideFolder

SECRET = b"1" * 32
SEAL = FrameSeal(MasterKeys({"k1": SECRET}))


@pytest.fixture(params=["plain", "sealed"])
def journal_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """A journal, with and without encryption, that the commands use."""
    monkeypatch.setenv("OFFICEAI_DATA_DIR", str(tmp_path / "data"))
    if request.param == "sealed":
        keys = "k1:" + base64.b64encode(SECRET).decode()
        monkeypatch.setenv("OFFICEAI_ENCRYPTION_KEYS", keys)
    open_directory(tmp_path / "data" / "journal")
    return tmp_path / "data" / "journal"


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.root, ["set-aside", *words])


async def record(journal_dir: Path, store: InMemoryExchangeStore, *exchanges: Exchange) -> None:
    """What `serve` does with calls until it ends."""
    seal = SEAL if "OFFICEAI_ENCRYPTION_KEYS" in os.environ else None
    journal = Journal(journal_dir, seal=seal)
    for exchange in exchanges:
        journal.append(exchange)
    journal.close()

    async def tidy() -> bool:
        return True

    recorder = Recorder(
        journal_dir, store, is_transient=lambda e: not isinstance(e, BadRow), tidy=tidy, seal=seal
    )
    recorder.stop()
    await recorder.run()


def test_nothing_is_set_aside(journal_dir: Path) -> None:
    """An empty folder is told as such, and retrying all of nothing is no error."""
    assert run("list").output == "Nothing is set aside.\n"
    assert json.loads(run("list", "--json").output) == []
    assert run("retry", "--all").exit_code == 0
    assert run("drop", "--all").exit_code == 0


@pytest.mark.parametrize("words", [["retry"], ["drop"], ["retry", "--all", "x"]], ids=str)
def test_it_must_be_said_which(journal_dir: Path, words: list[str]) -> None:
    """Names or all, never both or neither; a name that is not there is told."""
    assert run(*words).exit_code == 2
    assert isinstance(run("show", "nothing").exception, NotFound)


async def test_a_call_that_was_repaired_is_stored(journal_dir: Path) -> None:
    """It is listed with its reason, shown whole, put into the journal again, and stored once."""
    store = InMemoryExchangeStore()
    store.refused_words = {"poison"}
    bad = an_exchange([user("poison")])
    await record(journal_dir, store, bad, an_exchange([user("good")], session="s2"))

    (listed,) = json.loads(run("list", "--json").output)
    line = run("list").output
    shown = json.loads(run("show", str(bad.id), "--json").output)
    assert (listed["name"], listed["user"], listed["session"]) == (str(bad.id), "ann", "s1")
    assert "poison" in listed["reason"]
    assert line.startswith(str(bad.id))
    assert json.loads(shown["request"])["messages"] == [user("poison")]
    assert "hello" in run("show", str(bad.id)).output

    assert run("retry", str(bad.id)).output.startswith("1 in the journal")
    await record(journal_dir, store)
    assert len(json.loads(run("list", "--json").output)) == 1
    store.refused_words = set()
    assert run("retry", "--all").exit_code == 0
    await record(journal_dir, store)

    assert run("list").output == "Nothing is set aside.\n"
    assert sorted(call.session or "" for call in store.calls.values()) == ["s1", "s2"]


async def test_a_reply_that_cannot_be_unpacked_is_shown_as_it_came(
    journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte of it can be had, and with the package for it its text; then a retry stores it."""
    no_packages(monkeypatch)
    store, packed = InMemoryExchangeStore(), pack(reply_body([assistant("forty-two")]))
    kept = an_exchange([user("why?")], packed, content_encoding="br")
    await record(journal_dir, store, kept)

    shown = json.loads(run("show", str(kept.id), "--json").output)
    a_brotli(monkeypatch)
    unpacked = json.loads(run("show", str(kept.id), "--json").output)
    run("retry", "--all")
    await record(journal_dir, store)

    assert "content encoding 'br' is not supported" in shown["reason"]
    assert (shown["reply_encoding"], base64.b64decode(shown["reply"])) == ("br, base64", packed)
    assert (unpacked["reply_encoding"], "forty-two" in unpacked["reply"]) == (None, True)
    assert [message.content for message in store.only().path()] == ["why?", "forty-two"]
    assert run("list").output == "Nothing is set aside.\n"


async def test_no_terminal_obeys_what_was_said(journal_dir: Path) -> None:
    """What it would take for a command is shown as an escape, and as one of JSON in JSON."""
    store, nasty = InMemoryExchangeStore(), "\x1b]0;own\x07\x9b2J"
    store.refused_words = {"poison"}
    bad = an_exchange([user("poison")], nasty.encode())
    await record(journal_dir, store, bad)

    shown = run("show", str(bad.id)).output
    as_json = run("show", str(bad.id), "--json").output

    assert shown.replace("\n", "").isprintable()
    assert r"reply: \x1b]0;own\x07\x9b2J" in shown
    assert as_json.removesuffix("\n").isprintable()
    assert json.loads(as_json)["reply"] == nasty


async def test_dropping_asks_first(journal_dir: Path) -> None:
    """Without a yes nothing goes; with it the call is gone for good."""
    store = InMemoryExchangeStore()
    store.refused_words = {"poison"}
    await record(journal_dir, store, an_exchange([user("poison")]))

    refused = CliRunner().invoke(cli.root, ["set-aside", "drop", "--all"], input="n\n")
    kept = len(json.loads(run("list", "--json").output))
    dropped = run("drop", "--all", "--yes")

    assert (refused.exit_code, kept) == (1, 1)
    assert dropped.output == "1 dropped.\n"
    assert list((journal_dir / "set-aside").iterdir()) == []


def test_without_its_key_it_is_refused(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that is sealed is not looked into without the key, nor written in the clear."""
    journal = Journal(journal_dir, seal=SEAL)
    journal.append(an_exchange())
    journal.close()
    monkeypatch.delenv("OFFICEAI_ENCRYPTION_KEYS", raising=False)

    assert isinstance(run("list").exception, ConfigurationError)


async def test_damage_is_seen_and_dropped(journal_dir: Path) -> None:
    """What cannot be read is told with its place, shown, never tried again, and resealed."""
    is_sealed = "OFFICEAI_ENCRYPTION_KEYS" in os.environ
    seal = SEAL if is_sealed else None
    frame = bytearray(frames.encode(an_exchange([user("a secret")]), seal))
    frame[40] ^= 1
    (journal_dir / "dead-00000001.seg").write_bytes(frame)

    await record(journal_dir, InMemoryExchangeStore(), an_exchange([user("good")]))

    (listed,) = json.loads(run("list", "--json").output)
    assert listed["name"] == "dead-00000001-0"
    assert f"bytes 0 to {len(frame)} of dead-00000001.seg" in listed["reason"]
    assert "damage" in run("list").output
    shown = json.loads(run("show", listed["name"], "--json").output)["content"]
    assert ("a secret" in shown) is not is_sealed
    assert isinstance(run("retry", listed["name"]).exception, Conflict)
    assert run("retry", "--all").output.endswith(
        "0 in the journal again; `serve` stores them within a second.\n"
    )
    on_disk = b"".join(file.read_bytes() for file in (journal_dir / "set-aside").iterdir())
    assert (b"a secret" in on_disk) is not is_sealed

    newer = FrameSeal(MasterKeys({"k2": b"2" * 32, "k1": SECRET}))
    assert SetAsideFolder(journal_dir, newer).reseal() == 2
    assert SetAsideFolder(journal_dir, newer).damaged_bytes(listed["name"]) == frame
    assert SetAsideFolder(journal_dir, newer).reseal() == 0
    assert run("drop", "--all", "--yes").output == "1 dropped.\n"
    assert list((journal_dir / "set-aside").iterdir()) == []
