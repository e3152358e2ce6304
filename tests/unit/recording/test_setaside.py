"""What is set aside can be seen, tried again, dropped, and erased with its person."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.errors import NotFound, ProxyError
from officeai_proxy.model import Exchange
from officeai_proxy.recording import frames, setaside
from officeai_proxy.recording.reader import Entry
from officeai_proxy.recording.setaside import SetAsideFolder


def set_aside(journal: Path, exchange: Exchange) -> None:
    payload = frames.encode(exchange)[frames.HEADER_SIZE :]
    setaside.set_aside(journal, Entry(exchange, payload), reason="nobody knows")


def test_nothing_is_set_aside(tmp_path: Path) -> None:
    """A journal without the folder has nothing to erase."""
    assert SetAsideFolder(tmp_path).erase(workspace="default", user="ann") == 0


def test_others_and_the_unreadable_stay(tmp_path: Path) -> None:
    """Only the files of that user in that workspace go, with their reasons."""
    set_aside(tmp_path, an_exchange(user="ann"))
    set_aside(tmp_path, an_exchange(user="bob"))
    set_aside(tmp_path, an_exchange(user="ann", workspace="other"))
    (tmp_path / setaside.FOLDER / "unreadable.frame").write_bytes(b"?")

    assert SetAsideFolder(tmp_path).erase(workspace="default", user="ann") == 1

    assert setaside.count(tmp_path) == 3
    assert len(list((tmp_path / setaside.FOLDER).iterdir())) == 5


def test_an_address_is_the_user_of_what_names_nobody(tmp_path: Path) -> None:
    """A call without a user is erased with the address that it came from."""
    set_aside(tmp_path, an_exchange(user=None, client_ip="192.0.2.7"))
    folder = SetAsideFolder(tmp_path)

    assert folder.erase(workspace="default", user="192.0.2.8") == 0
    assert folder.erase(workspace="default", user="192.0.2.7") == 1
    assert setaside.count(tmp_path) == 0


class FakeJournal:
    """Takes what is to be tried again, or nothing."""

    def __init__(self, *, takes: bool = True) -> None:
        self.taken: list[bytes] = []
        self.dropped = 0 if takes else 1

    def append_payload(self, payload: bytes) -> None:
        self.taken.append(payload)

    def close(self) -> None:
        """Nothing waits."""


@pytest.mark.parametrize("name", ["", "nothing", "../../etc/passwd", "a" * 65, "%"])
def test_a_name_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    """No name leads out of the folder, and none to nothing."""
    folder = SetAsideFolder(tmp_path)
    for use in (folder.one, folder.drop, lambda name: folder.retry(name, FakeJournal())):
        with pytest.raises(NotFound, match="set-aside list"):
            use(name)


def test_what_is_set_aside_is_told_with_its_reason(tmp_path: Path) -> None:
    """Those that this version cannot read are told too; a note that is lost hides nothing."""
    exchange = an_exchange()
    set_aside(tmp_path, exchange)
    (tmp_path / setaside.FOLDER / "off.frame").write_bytes(b"?")

    read, unread = SetAsideFolder(tmp_path).all()

    assert (read.name, read.exchange, read.reason) == (str(exchange.id), exchange, "nobody knows")
    assert (unread.name, unread.exchange, unread.size) == ("off", None, 1)
    assert "not known" in unread.reason


def test_retrying_puts_it_into_the_journal_as_it_is(tmp_path: Path) -> None:
    """The very bytes go there, and nothing of it stays set aside."""
    exchange = an_exchange()
    set_aside(tmp_path, exchange)
    journal = FakeJournal()

    SetAsideFolder(tmp_path).retry(str(exchange.id), journal)

    assert [frames.decode(payload) for payload in journal.taken] == [exchange]
    assert setaside.count(tmp_path) == 0


def test_what_is_set_aside_again_meanwhile_stays(tmp_path: Path) -> None:
    """The recorder may be quicker than the command: what it sets aside anew is not deleted."""
    exchange = an_exchange()
    set_aside(tmp_path, exchange)

    class Quick(FakeJournal):
        def close(self) -> None:
            set_aside(tmp_path, exchange)

    SetAsideFolder(tmp_path).retry(str(exchange.id), Quick())

    assert [one.exchange for one in SetAsideFolder(tmp_path).all()] == [exchange]


def test_a_journal_that_takes_nothing_changes_nothing(tmp_path: Path) -> None:
    """A full disk leaves what is set aside where it is."""
    exchange = an_exchange()
    set_aside(tmp_path, exchange)

    with pytest.raises(ProxyError, match="cannot be written"):
        SetAsideFolder(tmp_path).retry(str(exchange.id), FakeJournal(takes=False))

    assert setaside.is_set_aside(tmp_path, exchange.id)


def test_a_retry_that_broke_off_is_not_forgotten(tmp_path: Path) -> None:
    """It is counted, listed, retried and dropped like any other."""
    exchange = an_exchange()
    set_aside(tmp_path, exchange)
    kept = tmp_path / setaside.FOLDER / f"{exchange.id}.frame"
    kept.rename(kept.with_suffix(".retried"))
    folder = SetAsideFolder(tmp_path)

    assert setaside.count(tmp_path) == 1
    assert [one.exchange for one in folder.all()] == [exchange]
    folder.drop(str(exchange.id))
    assert list((tmp_path / setaside.FOLDER).iterdir()) == []


def test_one_session_is_erased_alone(tmp_path: Path) -> None:
    """Calls of that session go, also those that named nobody; other sessions stay."""
    for named in ({"session": "s1"}, {"session": "s1", "user": None}, {"session": "s2"}):
        set_aside(tmp_path, an_exchange(**named))
    set_aside(tmp_path, an_exchange(session="s1", user="bob"))

    erased = SetAsideFolder(tmp_path).erase(workspace="default", user="ann", session="s1")

    assert erased == 2
    left = [(one.exchange.session, one.exchange.user) for one in SetAsideFolder(tmp_path).all()]  # type: ignore[union-attr]
    assert sorted(left) == [("s1", "bob"), ("s2", "ann")]  # type: ignore[type-var]


def test_what_began_later_stays(tmp_path: Path) -> None:
    """A conversation that went to the bin takes nothing along of the one that came after it."""
    for begun in (1, 2, 3):
        set_aside(tmp_path, an_exchange(session="s1", started_ns=begun * 10**9))
    until = datetime.fromtimestamp(2, UTC)

    SetAsideFolder(tmp_path).erase(workspace="default", user="ann", session="s1", until=until)

    assert [one.exchange.started_ns for one in SetAsideFolder(tmp_path).all()] == [3 * 10**9]  # type: ignore[union-attr]
