"""May this key make this call now? Asked before a call and told after it, across all workers.

The accounts lie in small files of the data directory that every worker has mapped, so that a
restart forgets nothing; one lock is held around each change. Only keys with limits ever come here.
"""

import hashlib
import logging
import mmap
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from officeai_proxy.auth.limits.account import BYTES, Account
from officeai_proxy.auth.limits.estimate import NO_TOKENS, TokenEstimate
from officeai_proxy.auth.limits.files import SharedLock, mapped
from officeai_proxy.auth.limits.minute import CELLS, SharedMinute
from officeai_proxy.auth.limits.seats import Seats
from officeai_proxy.auth.limits.standing import Header, Standing, standing_headers
from officeai_proxy.errors import RequestsLimited, TokensLimited
from officeai_proxy.folder_faults import unusable
from officeai_proxy.model import Limits

SUFFIX = ".use"

STALE_SECONDS = 86400
"""After a day without a call the file of a key that is gone is deleted."""

log = logging.getLogger(__name__)


class Lease:
    """The right to make one call, from its admission until `settle`.

    `headers` tell the caller how the key stands; `estimate` is what was thought to be needed.
    """

    __slots__ = (
        "_account",
        "_is_settled",
        "_ledger",
        "_reserved",
        "_second",
        "estimate",
        "headers",
    )

    def __init__(
        self, ledger: "Ledger", account: Account, *, second: int, reserved: int | None
    ) -> None:
        """*reserved* tokens were booked in *second*; None for a key whose tokens nobody counts."""
        self._ledger = ledger
        self._account = account
        self._second = second
        self._reserved = reserved
        self._is_settled = False
        self.estimate = NO_TOKENS
        self.headers: list[Header] = []

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens the call takes."""
        return self._reserved is not None

    def settle(self, tokens: int) -> None:
        """The call has ended and took *tokens*; only the first word on it counts."""
        if self._is_settled:
            return
        self._is_settled = True
        spent = 0 if self._reserved is None else tokens - self._reserved
        self._ledger.settle(self._account, spent, second=self._second)


class Ledger:
    """The accounts of all keys with limits, as this worker sees them."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open the accounts in *directory*; *clock* gives seconds since 1970.

        Raises:
            ConfigurationError: the files cannot be made there.
        """
        self.directory = directory
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock = SharedLock(directory / "lock")
            with self.lock:
                self._seats = Seats(directory)
        except OSError as exc:
            raise unusable("the limits of keys cannot be kept", directory, exc) from exc

    def admit(self, name: str, limits: Limits, estimate: TokenEstimate = NO_TOKENS) -> Lease:
        """Book a call on the account *name*, or refuse it and book nothing.

        At most the whole limit is reserved, so that an idle key can make a call of any size.

        Raises:
            RequestsLimited: too many calls in this minute, or at this moment.
            TokensLimited: too many tokens in this minute.
        """
        account = self.account(name)
        with self.lock:
            now = self._clock()
            second = account.advance(now)
            now = max(now, second)
            use = self._use(account, limits)
            if use.running is not None and use.running.used >= use.running.limit:
                raise _too_many_at_once(use, use.running, now)
            requests, tokens = use.requests, use.tokens
            asked = 0 if tokens is None else min(estimate.total, tokens.limit)
            if requests is not None and requests.used >= requests.limit:
                raise _too_many_requests(use, requests, now)
            if tokens is not None and asked and tokens.used + asked > tokens.limit:
                raise _too_many_tokens(use, tokens, now, asked)
            account.touch(second, now)
            account.requests.here.add(second, 1)
            if asked:
                account.tokens.here.add(second, asked)
            account.begin(self._seats)
        lease = Lease(self, account, second=second, reserved=None if tokens is None else asked)
        lease.estimate = estimate
        lease.headers = use.headers(now, calls=1, asked=asked)
        return lease

    def settle(self, account: Account, spent: int, *, second: int) -> None:
        """A call that was booked in *second* has ended, and took *spent* tokens more or less.

        More counts from now on, less goes back to where it was reserved.
        """
        with self.lock:
            now = self._clock()
            at = account.advance(now)
            if spent > 0:
                account.touch(at, max(now, at))
                account.tokens.here.add(at, spent)
            elif at - second < CELLS:
                account.tokens.here.add(second, spent)
            account.end(self._seats)

    def account(self, name: str) -> Account:
        """The account *name*, made when it is new."""
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account(memoryview(self._memory(name)))
        return account

    def running_here(self, account: Account) -> int:
        """The calls of *account* that run on this host. Call it with the lock held."""
        return account.running_here(self._seats)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def forget_all_but(self, names: Collection[str]) -> None:
        """Let go of the accounts of keys that are gone; the files of old ones are deleted.

        Raises:
            OSError: the folder cannot be listed.
        """
        for name in self._accounts.keys() - set(names):
            del self._accounts[name]
        kept = {_file_name(name) for name in names}
        for path in self.directory.iterdir():
            # Another worker may be at it, too.
            with suppress(OSError):
                if path.suffix == SUFFIX and path.name not in kept and _is_stale(path):
                    path.unlink()

    def close(self) -> None:
        """Give up the seat, and with it what this worker still had running."""
        with self.lock:
            self._seats.leave()
        self.lock.close()

    def _memory(self, name: str) -> mmap.mmap:
        try:
            return mapped(self.directory / _file_name(name), BYTES)
        except OSError as exc:
            log.warning("the limits of a key count in this worker alone: %s", exc)
            return mmap.mmap(-1, BYTES)

    def _use(self, account: Account, limits: Limits) -> "_Use":
        most, running = limits.concurrency, None
        if most is not None:
            running = _Running(most, account.running(self._seats))
            if running.used >= most:
                self._seats.clear_dead()
                running = _Running(most, account.running(self._seats))
        return _Use(
            _measured(limits.rpm, account.requests), _measured(limits.tpm, account.tokens), running
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """A limit, and what of it was used when a call came."""

    limit: int
    used: int
    minute: SharedMinute

    def standing(self, now: float, *, more: int) -> Standing:
        """How the key stands once *more* was used as well."""
        left = max(0, self.limit - self.used - more)
        return Standing(self.limit, left, self.minute.reset(now))


@dataclass(frozen=True, slots=True)
class _Running:
    """The limit of calls at one time, and how many ran when a call came."""

    limit: int
    used: int

    def standing(self, *, more: int) -> Standing:
        """How the key stands once *more* run as well."""
        return Standing(self.limit, max(0, self.limit - self.used - more))


@dataclass(frozen=True, slots=True)
class _Use:
    """How a key stood when a call came, in each limit that it has."""

    requests: _Measured | None
    tokens: _Measured | None
    running: _Running | None

    def headers(self, now: float, *, calls: int = 0, asked: int = 0) -> list[Header]:
        """What tells the caller of it, once so many *calls* and *asked* tokens are booked."""
        return standing_headers(
            None if self.requests is None else self.requests.standing(now, more=calls),
            None if self.tokens is None else self.tokens.standing(now, more=asked),
            None if self.running is None else self.running.standing(more=calls),
        )


def _measured(limit: int | None, minute: SharedMinute) -> _Measured | None:
    return None if limit is None else _Measured(limit, minute.total(), minute)


def _too_many_at_once(use: _Use, running: _Running, now: float) -> RequestsLimited:
    return RequestsLimited(
        f"Rate limit reached for this key on concurrent calls: Limit {running.limit}. Try again "
        "when one of its running calls has ended.",
        retry_after=1,
        headers=tuple(use.headers(now)),
    )


def _too_many_requests(use: _Use, requests: _Measured, now: float) -> RequestsLimited:
    wait = requests.minute.wait(now, requests.used + 1 - requests.limit)
    return RequestsLimited(
        "Rate limit reached for this key on requests per min (RPM): "
        f"Limit {requests.limit}, Used {requests.used}, Requested 1. "
        f"Please try again in {wait}s.",
        retry_after=wait,
        headers=tuple(use.headers(now)),
    )


def _too_many_tokens(use: _Use, tokens: _Measured, now: float, asked: int) -> TokensLimited:
    wait = tokens.minute.wait(now, tokens.used + asked - tokens.limit)
    return TokensLimited(
        "Rate limit reached for this key on tokens per min (TPM): "
        f"Limit {tokens.limit}, Used {tokens.used}, Requested {asked}. "
        f"Please try again in {wait}s.",
        retry_after=wait,
        headers=tuple(use.headers(now)),
    )


def _is_stale(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > STALE_SECONDS


def _file_name(name: str) -> str:
    """A name that any file system takes, whatever the key's id is."""
    return hashlib.sha256(name.encode()).hexdigest()[:32] + SUFFIX
