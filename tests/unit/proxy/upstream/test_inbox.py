"""What arrived and was not read yet."""

import pytest

from officeai_proxy.errors import UpstreamBroke
from officeai_proxy.proxy.upstream import UpstreamAborted
from officeai_proxy.proxy.upstream.inbox import FULL, Inbox


def test_an_error_comes_after_every_piece() -> None:
    """What arrived before a failure is handed out first; then the failure, each time."""
    inbox = Inbox()
    inbox.put_head(200, [])
    inbox.put(b"a")
    inbox.fail(UpstreamBroke("gone"))
    assert inbox.take() == [b"a"]
    for _ in range(2):
        with pytest.raises(UpstreamBroke, match="gone"):
            inbox.take()
    assert not inbox.ended


def test_the_first_error_is_the_one_that_counts() -> None:
    """A failure that follows from another does not hide it."""
    inbox = Inbox()
    inbox.fail(UpstreamBroke("first"))
    inbox.fail(UpstreamBroke("second"))
    inbox.finish()
    with pytest.raises(UpstreamBroke, match="first"):
        inbox.has_head()


def test_a_whole_reply_stays_whole_when_its_connection_fails_later() -> None:
    """An error after the end changes nothing."""
    inbox = Inbox()
    inbox.put_head(200, [])
    inbox.put(b"a")
    inbox.finish()
    inbox.fail(UpstreamBroke("too late"))
    assert inbox.take() == [b"a"]
    assert inbox.ended
    assert inbox.take() == []


def test_nothing_is_handed_out_after_an_abort() -> None:
    """abort() forgets what is unread, and what comes after it."""
    inbox = Inbox()
    inbox.put_head(200, [])
    inbox.put(b"a")
    inbox.abort()
    with pytest.raises(UpstreamAborted):
        inbox.take()
    late = Inbox()
    late.abort()
    late.put_head(200, [])
    with pytest.raises(UpstreamAborted):
        late.has_head()


def test_an_abort_after_the_end_is_nothing() -> None:
    """A reply read to its end cannot be aborted."""
    inbox = Inbox()
    inbox.put_head(204, [])
    inbox.finish()
    assert inbox.ended
    inbox.abort()
    assert inbox.take() == []


def test_it_ends_with_its_last_piece_only() -> None:
    """`ended` turns true when the last piece is handed out, or when the end comes after it."""
    inbox = Inbox()
    inbox.put(b"a")
    inbox.finish()
    assert not inbox.ended
    inbox.take()
    assert inbox.ended
    other = Inbox()
    other.put(b"a")
    other.take()
    assert not other.ended
    other.finish()
    assert other.ended


def test_it_is_full_until_it_is_read() -> None:
    """Sources are told to pause while more than the limit lies unread."""
    inbox = Inbox()
    inbox.put(b"x" * FULL)
    assert not inbox.is_full
    inbox.put(b"x")
    assert inbox.is_full
    inbox.take()
    assert not inbox.is_full


async def test_a_waiting_reader_is_woken_once_something_came() -> None:
    """Head, piece, end, error and abort each wake a reader; a cancelled one harms nobody."""
    for event in (
        lambda inbox: inbox.put_head(200, []),
        lambda inbox: inbox.put(b"a"),
        lambda inbox: inbox.finish(),
        lambda inbox: inbox.fail(UpstreamBroke("gone")),
        lambda inbox: inbox.abort(),
    ):
        inbox = Inbox()
        inbox.arrival().cancel()
        event(inbox)
        fresh = Inbox()
        waiter = fresh.arrival()
        event(fresh)
        await waiter
