"""An event loop without threads: work for a thread is done at a moment that a seed decides."""

import asyncio
import random
from collections.abc import Callable
from typing import Any


class SeededLoop(asyncio.SelectorEventLoop):
    """Runs the same with the same seed, whatever the machine does meanwhile."""

    def __init__(self, chance: random.Random) -> None:
        """*chance* says how long work for threads takes, in turns of the loop."""
        super().__init__()
        self._chance = chance

    def run_in_executor(  # type: ignore[override]
        self, _executor: object, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Call *func* a few turns from now, and tell its result a few turns later."""
        told = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as exc:  # noqa: BLE001 - whatever it is, it belongs to who waits
                self._after_turns(lambda error=exc: told.done() or told.set_exception(error))
            else:
                self._after_turns(lambda: told.done() or told.set_result(result))

        self._after_turns(work)
        return told

    def _after_turns(self, what: Callable[[], Any], turns: int | None = None) -> None:
        left = self._chance.randrange(4) if turns is None else turns
        if left:
            self.call_soon(self._after_turns, what, left - 1)
        else:
            self.call_soon(what)
