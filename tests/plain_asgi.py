"""`python -m tests.plain_asgi`: the program as it is on a server that knows nothing but ASGI.

Every call goes through the application and none is served on its connection; all else is the same.
"""

import sys
from functools import partial

from officeai_proxy.cli import main
from officeai_proxy.server import running
from officeai_proxy.server.connection import Connection

if __name__ == "__main__":
    running.Connection = partial(Connection, serves_directly=False)  # type: ignore[misc,assignment]
    sys.exit(main())
