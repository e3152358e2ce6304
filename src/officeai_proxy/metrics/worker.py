"""The counters of one running worker, from its start to its end."""

from pathlib import Path

from officeai_proxy.api.dependencies import Slots
from officeai_proxy.metrics.boards import Boards
from officeai_proxy.metrics.counting import CallCounter, CountedSlots


class Metrics:
    """This worker's counters, and those of all workers of the host."""

    def __init__(self, directory: Path) -> None:
        """Open a board in *directory*."""
        self.boards = Boards(directory)
        self._board = self.boards.open()
        self.counter = CallCounter(self._board)

    def counted(self, slots: Slots) -> CountedSlots:
        """The same *slots*, whose use is told."""
        return CountedSlots(slots, self._board)

    def close(self) -> None:
        """End the board; what it counted stays. Nobody may count any more."""
        self.boards.close(self._board)
