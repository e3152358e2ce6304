"""How the proxy is, measured on its parts; changes nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, Field

from officeai_proxy import __version__
from officeai_proxy.errors import DatabaseDamaged, DatabaseMoved, DatabaseOnlyReads, Unavailable
from officeai_proxy.health.answering import Answering, Pingable
from officeai_proxy.model import counted
from officeai_proxy.recording import setaside
from officeai_proxy.recording.backlog import BacklogGauge

LATE_SECONDS = 10.0
"""How long a call may wait to be stored before people should look; calls go on meanwhile."""

DATABASE_AWAY = "The database does not answer: calls wait in the journal, reads get 503."
NOT_WRITTEN = (
    "The journal cannot be written: calls wait in memory. Make room on the data directory's disk, "
    "or put the journal's folder back."
)
NOT_SYNCED = "The journal cannot be synced: calls would not survive a power loss. Look at the disk."
NOT_RECORDING = "The recorder does not run: calls wait in the journal. The log says why."
NO_KEYS = (
    "The database was not reached since the start, and there is no copy of its keys here: calls "
    "with keys of `keys create` get 503."
)
SEE_SET_ASIDE = "`officeai-proxy set-aside list` tells which, and why"


class Keeping(Protocol):
    """The journal, as far as health is concerned."""

    @property
    def is_keeping(self) -> bool:
        """Whether it takes what is recorded."""

    @property
    def is_syncing(self) -> bool:
        """Whether the last sync succeeded, where there are any."""

    @property
    def dropped(self) -> int:
        """How many exchanges were lost."""

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait in memory, because the disk takes nothing."""

    @property
    def append_errors(self) -> int:
        """How many writes have failed."""

    @property
    def sync_errors(self) -> int:
        """How many syncs have failed."""

    @property
    def piece_errors(self) -> int:
        """How often what a long call says so far could not be written."""


class DatabaseHealth(BaseModel):
    """Whether the database answers; one that only reads is up."""

    status: Literal["up", "down"] = Field(description="Whether it answers.")
    dialect: str = Field(description="`sqlite` or `postgresql`.")


class UpstreamHealth(BaseModel):
    """Where calls go."""

    base_url: str = Field(description="The address that calls are sent to.")


class RecorderHealth(BaseModel):
    """How far the database is behind the calls."""

    pending: int = Field(description="Calls in the journal that are not in the database yet.")
    lag_seconds: float = Field(description="Age of the oldest of them.")
    journal_bytes: int = Field(description="Size of the journal on disk.")
    set_aside: int = Field(
        description="Calls that can never be stored, and damaged parts of the journal, kept to see."
    )
    dropped: int = Field(description="Calls of this process that could not be kept.")
    backlog_bytes: int = Field(
        0, description="Calls of this process in memory that the journal could not take yet."
    )
    append_errors: int = Field(0, description="Writes of this process to it that failed.")
    sync_errors: int = Field(0, description="Syncs of this process that failed.")


class Health(BaseModel):
    """How the proxy is."""

    status: Literal["ok", "degraded"] = Field(description="Whether all is well.")
    reasons: list[str] = Field(
        default_factory=list, description="Why it is degraded, and what to do; empty when it is ok."
    )
    version: str = Field(description="The version that runs.")
    uptime_seconds: float = Field(description="How long it has run.")
    database: DatabaseHealth = Field(description="Where conversations are kept.")
    upstream: UpstreamHealth = Field(description="Where calls go.")
    recorder: RecorderHealth = Field(description="What brings the calls into the database.")


class Alive(BaseModel):
    """An answer to a probe."""

    status: Literal["ok", "unavailable"] = Field(description="Whether it can do its work.")


@dataclass(slots=True)
class Pulse:
    """What health is measured on.

    `is_recording` tells whether the recorder's thread runs, `knows_keys` whether the managed keys
    are known, `lets_nobody_in` whether there are no others either.
    """

    journal_dir: Path
    journal: Keeping
    database: Pingable
    dialect: str
    upstream: str
    is_recording: Callable[[], bool]
    knows_keys: Callable[[], bool] = lambda: True
    lets_nobody_in: Callable[[], bool] = lambda: False
    is_stopping: bool = False
    started: float = field(default_factory=time.monotonic)
    gauge: BacklogGauge = field(init=False)
    _answering: Answering = field(init=False)

    def __post_init__(self) -> None:
        """Start to measure the journal."""
        self.gauge = BacklogGauge(self.journal_dir)
        self._answering = Answering(self.database)

    @property
    def keeps_calls(self) -> bool:
        """Whether calls are served and kept; a database outage does not matter to that."""
        return self.journal.is_keeping and self.is_recording() and not self.is_stopping

    @property
    def is_ready(self) -> bool:
        """Whether calls are served and kept, and there is a key to make them with."""
        return self.keeps_calls and not self.lets_nobody_in()

    async def health(self) -> Health:
        """How everything is now."""
        away, fault = await self._database()
        backlog = self.gauge.measure()
        recorder = RecorderHealth(
            pending=backlog.pending,
            lag_seconds=round(backlog.lag_seconds, 3),
            journal_bytes=backlog.journal_bytes,
            set_aside=setaside.count(self.journal_dir),
            dropped=self.journal.dropped,
            backlog_bytes=self.journal.backlog_bytes,
            append_errors=self.journal.append_errors,
            sync_errors=self.journal.sync_errors,
        )
        reasons = [
            *self._faults(recorder),
            *([_not_readable(backlog.unreadable)] if backlog.unreadable else []),
            *([fault] if fault else []),
            *([] if self.knows_keys() else [NO_KEYS]),
        ]
        return Health(
            status="degraded" if reasons else "ok",
            reasons=reasons,
            version=__version__,
            uptime_seconds=round(time.monotonic() - self.started, 3),
            database=DatabaseHealth(status="down" if away else "up", dialect=self.dialect),
            upstream=UpstreamHealth(base_url=self.upstream),
            recorder=recorder,
        )

    async def _database(self) -> tuple[bool, str | None]:
        """Whether the database is away, and what is wrong with it."""
        try:
            await self._answering.ping()
        except DatabaseOnlyReads as fault:
            return False, fault.message
        except (DatabaseDamaged, DatabaseMoved) as fault:
            return True, fault.message
        except Unavailable:
            return True, DATABASE_AWAY
        return False, None

    def _faults(self, recorder: RecorderHealth) -> Iterator[str]:
        """What is wrong with recording, in sentences; the worst comes first."""
        if recorder.dropped:
            lost = counted(recorder.dropped, "call")
            yield f"{lost} of this process could not be kept and must be taken as lost."
        if not self.journal.is_syncing:
            yield NOT_SYNCED
        elif not self.journal.is_keeping:
            yield NOT_WRITTEN
        if not self.is_recording():
            yield NOT_RECORDING
        if recorder.lag_seconds > LATE_SECONDS:
            wait = "waits" if recorder.pending == 1 else "wait"
            yield (
                f"{counted(recorder.pending, 'call')} {wait} to be stored, the oldest for "
                f"{recorder.lag_seconds:.0f} s; is the database full, locked, slow or damaged? "
                "The log says why."
            )
        yield from self._what_is_set_aside(recorder.set_aside)
        if self.is_stopping:
            yield "The program is ending."

    def _what_is_set_aside(self, count: int) -> Iterator[str]:
        """Damage is told apart: calls are lost in it, and nobody can say how many."""
        damage = setaside.count_damage(self.journal_dir) if count else 0
        if damage:
            are = "is" if damage == 1 else "are"
            parts = f"{counted(damage, 'part')} of the journal {are} damaged"
            yield f"{parts}, with calls inside: {SEE_SET_ASIDE}."
        if count > damage:
            yield f"{counted(count - damage, 'call')} can never be stored: {SEE_SET_ASIDE}."


def _not_readable(count: int) -> str:
    them = "it" if count == 1 else "them"
    return (
        f"{counted(count, 'file')} of the journal cannot be read, and the calls inside wait: "
        f"give {them} to the account that runs this program, or look at the disk; the log says why."
    )
