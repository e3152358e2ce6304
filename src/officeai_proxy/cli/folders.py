"""The data directory in; what workers will open there is opened once before they start, and closed.

So what is wrong there is one line that says what to do, and not a traceback of every worker.
"""

from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.metrics.boards import Boards
from officeai_proxy.recording.recorder import Leadership
from officeai_proxy.settings import Settings


def prove_folders(settings: Settings) -> None:
    """Open what no worker can do without, beside the segments of the journal.

    Raises:
        ConfigurationError: something of it cannot be opened, or there is no room for it.
    """
    Leadership(settings.journal_dir).close()
    Boards(settings.data_dir / "metrics")
    Ledger(settings.data_dir / "limits").close()
