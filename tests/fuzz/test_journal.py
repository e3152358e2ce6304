"""Whatever stands in a journal's files, the scanner finds what is whole and nothing else."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st
from tests.factories import an_exchange, user
from tests.fuzz.mangling import every_seed, fuzzed, mangled

from officeai_proxy.model import Exchange
from officeai_proxy.recording import segments
from officeai_proxy.recording.frames import MAGIC, Undecodable, decode, encode, scan


def check_scan(data: bytes) -> None:
    """Frames lie in the data, in order, apart; each is an exchange or Undecodable."""
    end = 0
    for frame in scan(data):
        assert end <= frame.start < frame.end <= len(data)
        assert data[frame.start : frame.start + len(MAGIC)] == MAGIC
        end = frame.end
        check_payload(frame.payload)


def check_payload(payload: bytes) -> None:
    """An exchange or Undecodable, and nothing larger than the payload."""
    try:
        exchange = decode(payload)
    except Undecodable:
        return
    assert len(exchange.request) + len(exchange.reply) <= len(payload)


@every_seed("journal")
def test_known_damage(data: bytes) -> None:
    """The corpus of damaged segments and payloads."""
    check_scan(data)
    check_payload(data)


@fuzzed(data=mangled("journal"))
def test_segments(data: bytes) -> None:
    """Mangled segments."""
    check_scan(data)


@fuzzed(data=mangled("journal"))
def test_payloads(data: bytes) -> None:
    """Mangled payloads, as if their checksum were right."""
    check_payload(data)


_exchanges = st.builds(
    an_exchange,
    request=st.binary(max_size=60),
    reply=st.one_of(st.binary(max_size=60), st.just(MAGIC * 3)),
    session=st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
)


@fuzzed(
    exchanges=st.lists(_exchanges, min_size=1, max_size=5),
    damage=st.lists(st.binary(max_size=30), min_size=6, max_size=6),
)
def test_damage_hides_itself_and_no_neighbour(
    exchanges: list[Exchange], damage: list[bytes]
) -> None:
    """Every whole frame is found, whatever bytes lie before, between and behind."""
    frames = [encode(exchange) for exchange in exchanges]
    pieces = [piece for pair in zip(damage, frames, strict=False) for piece in pair]

    found = [decode(frame.payload) for frame in scan(b"".join([*pieces, damage[-1]]))]

    assert found == exchanges


_notes = st.one_of(
    st.binary(max_size=100),
    st.sampled_from([b"[]", b"null", b"1", b'{"a.seg":', b"{}", b'{"a.seg": 7}', b"\xff{}"]),
)


@fuzzed(data=_notes)
def test_the_note_of_what_is_stored_can_be_anything(data: bytes) -> None:
    """A damaged `stored.json` counts as none."""
    with TemporaryDirectory() as folder:
        (Path(folder) / segments.STORED).write_bytes(data)
        stored = segments.read_stored(Path(folder))

    assert isinstance(stored, dict)
    if stored:
        assert stored == json.loads(data)


def test_the_corpus_is_of_this_format() -> None:
    """A fresh frame is read, so that the corpus is not of a format long gone."""
    [frame] = scan(encode(an_exchange([user("hi")])))

    assert decode(frame.payload).session == "s1"
