"""What is set aside can be counted, and erased with the person whose it is."""

from pathlib import Path

from tests.factories import an_exchange

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
