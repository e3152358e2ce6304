"""Calls of a limited key are admitted or refused, across workers, restarts and deaths."""

import asyncio
import math
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from officeai_proxy.auth.limits.account import Account
from officeai_proxy.auth.limits.estimate import TokenEstimate
from officeai_proxy.auth.limits.forgetting import forget_dead
from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.errors import ConfigurationError, RequestsLimited, TokensLimited
from officeai_proxy.model import Limits

NOW = 1_700_000_000.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "limits", clock=clock)
    yield opened
    opened.close()


def tokens(count: int) -> TokenEstimate:
    return TokenEstimate(prompt=count)


def admitted(ledger: Ledger, limits: Limits, *, calls: int) -> int:
    count = 0
    for _ in range(calls):
        try:
            ledger.admit("key", limits).settle(0)
        except RequestsLimited:
            continue
        count += 1
    return count


def test_one_call_too_many_is_refused_with_a_true_retry_after(ledger: Ledger, clock: Clock):
    """The refusal says in OpenAI's words what is used up; it fits after the wait, no sooner."""
    clock.now = NOW + 0.25
    assert admitted(ledger, Limits(rpm=2), calls=3) == 2

    with pytest.raises(RequestsLimited) as caught:
        ledger.admit("key", Limits(rpm=2))
    error = caught.value

    assert (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert "requests per min (RPM): Limit 2, Used 2, Requested 1" in error.message
    assert error.retry_after == 60
    clock.now += error.retry_after - 0.01
    assert admitted(ledger, Limits(rpm=2), calls=1) == 0
    clock.now += 0.01
    assert admitted(ledger, Limits(rpm=2), calls=1) == 1


def test_nobody_waits_longer_than_sdks_do(ledger: Ledger, clock: Clock):
    """Wherever in a second a key is used up, the wait is a minute, and then the next call fits."""
    for number in range(200):
        clock.now = NOW + 1000 * number + number / 199
        assert admitted(ledger, Limits(rpm=1), calls=1) == 1
        wait = wait_of(ledger, 1)
        assert wait == 60
        clock.now += wait
        assert admitted(ledger, Limits(rpm=1), calls=1) == 1


def test_uses_of_one_second_stop_to_count_with_the_last_of_them(ledger: Ledger, clock: Clock):
    """None counts for less than 60 s, tokens that are charged at the end of a call included."""
    limits = Limits(tpm=100)
    clock.now = NOW + 0.1
    first = ledger.admit("key", limits, tokens(10))
    clock.now = NOW + 0.7
    first.settle(100)

    clock.now = NOW + 60.6
    with pytest.raises(TokensLimited) as caught:
        ledger.admit("key", limits, tokens(1))
    assert caught.value.retry_after == 1
    clock.now = NOW + 60.7
    assert remaining(ledger, limits) == 100


def test_a_refused_call_uses_nothing(ledger: Ledger):
    """Whoever knocks on a closed door does not keep it closed, in no dimension."""
    limits = Limits(rpm=1, tpm=100, concurrency=1)
    first = ledger.admit("key", limits, tokens(60))
    for _ in range(5):
        with pytest.raises(RequestsLimited):
            ledger.admit("key", limits, tokens(60))
    first.settle(60)

    wide = Limits(rpm=2, tpm=100, concurrency=1)
    assert (
        dict(ledger.admit("key", wide, tokens(40)).headers)[b"x-ratelimit-remaining-tokens"] == b"0"
    )


def test_tokens_are_reserved_before_the_call(ledger: Ledger):
    """Calls that run at the same time cannot each have the whole of what is left."""
    limits = Limits(tpm=100)
    ledger.admit("key", limits, tokens(70))

    with pytest.raises(TokensLimited) as caught:
        ledger.admit("key", limits, tokens(31))

    assert (caught.value.type, caught.value.code) == ("tokens", "rate_limit_exceeded")
    assert "Limit 100, Used 70, Requested 31" in caught.value.message
    ledger.admit("key", limits, tokens(30))


def test_a_big_call_is_possible_on_an_idle_key(ledger: Ledger):
    """More than the whole limit is never asked for: else the call could never be made."""
    limits = Limits(tpm=100)
    lease = ledger.admit("key", limits, tokens(10**9))
    with pytest.raises(TokensLimited):
        ledger.admit("key", limits, tokens(1))
    lease.settle(20)

    ledger.admit("key", limits, tokens(80))


def test_the_end_of_a_call_corrects_what_was_reserved(ledger: Ledger, clock: Clock):
    """Too much goes back, too little is charged, and only the first settlement counts."""
    limits = Limits(tpm=100)
    first = ledger.admit("key", limits, tokens(50))
    first.settle(10)
    first.settle(99)
    assert remaining(ledger, limits) == 90

    second = ledger.admit("key", limits, tokens(10))
    clock.now += 40
    second.settle(95)
    assert remaining(ledger, limits) == 0
    clock.now += 22
    assert remaining(ledger, limits) == 15


def remaining(ledger: Ledger, limits: Limits) -> int:
    lease = ledger.admit("key", limits)
    lease.settle(0)
    return int(dict(lease.headers)[b"x-ratelimit-remaining-tokens"])


def test_a_call_that_outlasts_its_minute_gives_nothing_back_twice(ledger: Ledger, clock: Clock):
    """What was reserved is forgotten after a minute; giving it back later changes nothing."""
    limits = Limits(tpm=100)
    long = ledger.admit("key", limits, tokens(100))
    clock.now += 100
    ledger.admit("key", limits, tokens(60))
    long.settle(0)

    with pytest.raises(TokensLimited):
        ledger.admit("key", limits, tokens(41))


def test_no_more_calls_at_once_than_the_limit(ledger: Ledger):
    """A slot is free again when its call has ended, and is given back once."""
    limits = Limits(concurrency=2)
    first, second = ledger.admit("key", limits), ledger.admit("key", limits)
    assert dict(first.headers)[b"x-ratelimit-remaining-concurrency"] == b"1"
    assert dict(second.headers)[b"x-ratelimit-remaining-concurrency"] == b"0"
    with pytest.raises(RequestsLimited, match="concurrent calls: Limit 2") as caught:
        ledger.admit("key", limits)
    assert caught.value.retry_after == 1
    assert dict(caught.value.headers) == {
        b"x-ratelimit-limit-concurrency": b"2",
        b"x-ratelimit-remaining-concurrency": b"0",
    }
    first.settle(0)
    first.settle(0)

    ledger.admit("key", limits)
    with pytest.raises(RequestsLimited):
        ledger.admit("key", limits)


def test_all_workers_share_one_account(ledger: Ledger, tmp_path: Path, clock: Clock):
    """Two workers of one data directory admit together what one alone would."""
    other = Ledger(tmp_path / "limits", clock=clock)
    limits = Limits(rpm=3, concurrency=2)
    held = [ledger.admit("key", limits), other.admit("key", limits)]
    for one in (ledger, other):
        with pytest.raises(RequestsLimited, match="concurrent"):
            one.admit("key", limits)
    for lease in held:
        lease.settle(0)

    assert admitted(other, limits, calls=2) + admitted(ledger, limits, calls=2) == 1
    other.close()


def test_keys_do_not_share_an_account(ledger: Ledger):
    """What one key uses up is not missing to another."""
    ledger.admit("one", Limits(rpm=1, concurrency=1))

    ledger.admit("two", Limits(rpm=1, concurrency=1))


def test_a_restart_forgets_nothing_and_locks_nobody_out(tmp_path: Path, clock: Clock):
    """The minute goes on where it was; what ran when the program ended runs no more."""
    limits = Limits(rpm=3, concurrency=1)
    first = Ledger(tmp_path / "limits", clock=clock)
    assert admitted(first, limits, calls=2) == 2
    first.admit("key", limits)
    first.close()
    second = Ledger(tmp_path / "limits", clock=clock)

    clock.now += 59
    assert admitted(second, limits, calls=1) == 0
    clock.now += 2
    assert admitted(second, limits, calls=9) == 3
    second.close()


def test_a_clock_set_back_a_little_stands_still(ledger: Ledger, clock: Clock):
    """Corrections of a clock open no second minute."""
    assert admitted(ledger, Limits(rpm=2), calls=2) == 2
    clock.now -= 30

    assert admitted(ledger, Limits(rpm=2), calls=1) == 0


def test_a_clock_set_back_far_locks_nobody_out(ledger: Ledger, clock: Clock):
    """A clock that was wrong by a year does not close a key for a year."""
    clock.now = NOW + 365 * 86400
    assert admitted(ledger, Limits(rpm=2), calls=2) == 2
    clock.now = NOW

    assert admitted(ledger, Limits(rpm=2), calls=3) == 2


def test_headers_are_those_of_openai(ledger: Ledger, clock: Clock):
    """Limit, what is left after this call, and when all of it is back; none of limits not set."""
    clock.now = NOW + 0.5
    lease = ledger.admit("key", Limits(rpm=10, tpm=1000), tokens(100))

    assert lease.headers == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"9"),
        (b"x-ratelimit-reset-requests", b"1m0s"),
        (b"x-ratelimit-limit-tokens", b"1000"),
        (b"x-ratelimit-remaining-tokens", b"900"),
        (b"x-ratelimit-reset-tokens", b"1m0s"),
    ]
    assert ledger.admit("other", Limits()).headers == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 5),
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.4, 1.0, 7.3, 29.9, 60.0]), st.integers(0, 2)),
        max_size=40,
    ),
)
def test_never_more_than_the_limit_in_any_sixty_seconds(
    tmp_path_factory: pytest.TempPathFactory, most: int, steps: list[tuple[float, int]]
):
    """Whatever the pauses, whichever worker, also one that restarts in between: at most N in any
    60 s, wherever they begin; and what is refused would fit after the wait.
    """
    folder, clock = tmp_path_factory.mktemp("limits"), Clock()
    workers = [Ledger(folder, clock=clock) for _ in range(3)]
    times: list[float] = []
    for pause, worker in steps:
        clock.now += pause
        if worker == 2:
            workers[2].close()
            workers[2] = Ledger(folder, clock=clock)
        wait = wait_of(workers[worker], most)
        if wait is None:
            times.append(clock.now)
        else:
            oldest = sorted(times)[-most]
            last = max(at for at in times if math.floor(at) == math.floor(oldest))
            assert clock.now - last < 60, "it would have fitted"
            assert wait == max(1, math.ceil(round(last + 60 - clock.now, 5)))
    for worker in workers:
        worker.close()

    assert all(sum(begin <= at < begin + 60 for at in times) <= most for begin in times)


def wait_of(ledger: Ledger, most: int) -> int | None:
    """How long a call has to wait; None when it was admitted."""
    try:
        ledger.admit("key", Limits(rpm=most)).settle(0)
    except RequestsLimited as error:
        return error.retry_after
    return None


def test_other_hosts_use_counts_and_grows_old(ledger: Ledger, clock: Clock):
    """What is heard of other hosts fills the same limit and is forgotten in the same time."""
    account = ledger.account("key")
    hear(account, int(clock.now), requests=3, running=1)
    assert admitted(ledger, Limits(rpm=4), calls=3) == 1
    with pytest.raises(RequestsLimited, match="concurrent"):
        ledger.admit("key", Limits(concurrency=1))

    clock.now += 6
    assert admitted(ledger, Limits(concurrency=1), calls=1) == 1
    clock.now += 62
    assert admitted(ledger, Limits(rpm=4), calls=9) == 4


def hear(account: Account, second: int, *, requests: int, running: int) -> None:
    account.advance(float(second))
    account.hear(second, running)
    account.requests.elsewhere.add(second, requests)


def test_files_are_private(ledger: Ledger, tmp_path: Path):
    """Nobody else on the machine may read or write them."""
    ledger.admit("key", Limits(rpm=1))

    files = list((tmp_path / "limits").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "limits").stat().st_mode & 0o777 == 0o700


def test_accounts_of_dead_keys_are_deleted_after_a_day(ledger: Ledger, tmp_path: Path):
    """A key that is gone leaves its file for a day, one that is there for ever."""
    import os  # noqa: PLC0415 - only here, to make files old

    for name in ("there", "gone", "gone lately"):
        ledger.admit(name, Limits(rpm=1))
    files = {name: next_file(ledger, tmp_path, name) for name in ("there", "gone")}
    for path in files.values():
        os.utime(path, (1, 1))

    ledger.forget_all_but({"there"})

    assert files["there"].exists()
    assert not files["gone"].exists()
    assert len(list((tmp_path / "limits").glob("*.use"))) == 2


async def test_files_of_dead_keys_do_not_stay_open(ledger: Ledger, tmp_path: Path):
    """They would add up where programs make keys; what is not known to be dead keeps its own."""
    known: set[str] | None = None
    chore = asyncio.create_task(forget_dead(ledger, lambda: known, interval=0.01))
    lease = ledger.admit("there", Limits(rpm=9, concurrency=9))
    for number in range(20):
        ledger.admit(f"gone {number}", Limits(rpm=1)).settle(0)
    assert open_files(tmp_path) == 21
    await asyncio.sleep(0)
    assert open_files(tmp_path) == 21

    known = {"there"}
    async with asyncio.timeout(20):
        while open_files(tmp_path) > 1:  # noqa: ASYNC110 - the kernel tells nobody of it
            await asyncio.sleep(0.01)

    assert open_files(tmp_path) == 1
    lease.settle(0)
    assert len(list((tmp_path / "limits").glob("*.use"))) == 21
    chore.cancel()


async def test_dead_keys_wait_while_no_file_can_be_opened(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
):
    """The folder cannot be listed then, which is no reason for the program to end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    chore = asyncio.create_task(forget_dead(ledger, set, interval=0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await asyncio.sleep(0)

    assert "Too many open files" in caplog.text
    assert not chore.done()
    chore.cancel()


def open_files(folder: Path) -> int:
    """How many accounts below *folder* this process has open."""
    mapped = Path("/proc/self/maps").read_text()
    return len(set(re.findall(re.escape(str(folder)) + r"/\S+\.use", mapped)))


def next_file(ledger: Ledger, folder: Path, name: str) -> Path:
    import hashlib  # noqa: PLC0415 - only here

    return folder / "limits" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.use"


def test_a_disk_that_takes_no_account_refuses_nobody(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """When an account has no file, the limit holds in this worker, and a line says so."""
    next_file(ledger, tmp_path, "key").mkdir()

    assert admitted(ledger, Limits(rpm=2), calls=3) == 2
    assert "in this worker alone" in caplog.text


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path):
    """A data directory that is none is named at the start."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="OFFICEAI_DATA_DIR"):
        Ledger(tmp_path / "file")
