"""A new connection to PostgreSQL in, one that ends when its other side is gone out; opens none.

A machine that dies, and a firewall that forgets a connection, say no word. The server would keep
the locks of a transaction that stands open there for two hours, which is Linux's own time, and all
hosts that record calls of the same hour would wait for them. So the systems of both sides ask one
another now and then (tcp(7); PostgreSQL manual, 20.3.2 and 20.11.1).
"""

import socket
from asyncio import Transport

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

GONE_SECONDS = 60
"""How long the other side may be silent, to questions and to what was sent, before it is gone."""

IDLE_SECONDS = 300
"""How long a transaction may stand open on the server without a statement.

It counts where the other side of a connection is a pool or a proxy, which lives on. It is no less
than what may be thought between two statements of one batch.
"""

_ASKED_AFTER, _ASKED_EVERY, _ASKED_TIMES = 20, 10, 4

_OURS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ASKED_AFTER),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ASKED_EVERY),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _ASKED_TIMES),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_SECONDS * 1000),
)

# What the server does not know is left out, and a limit that the database's owner has set stays.
# It is no option of the connection, because a PgBouncer refuses those that it does not know.
_THEIRS = f"""
SELECT set_config(name, wanted, false) FROM (VALUES
  ('tcp_keepalives_idle', '{_ASKED_AFTER}'),
  ('tcp_keepalives_interval', '{_ASKED_EVERY}'),
  ('tcp_keepalives_count', '{_ASKED_TIMES}'),
  ('tcp_user_timeout', '{GONE_SECONDS * 1000}'),
  ('idle_in_transaction_session_timeout', '{IDLE_SECONDS * 1000}')
) AS ours (name, wanted)
WHERE current_setting(name, true) = '0' OR name LIKE 'tcp%' AND current_setting(name, true) > ''
"""  # noqa: S608 - numbers of our own


def keep_alive(engine: Engine) -> None:
    """Let every connection of *engine* from now on notice that its other side is gone."""
    event.listen(engine, "connect", _on_connect)


def _on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _ask_from_here(connection.driver_connection)
    connection.run_async(lambda driver: driver.execute(_THEIRS))


def _ask_from_here(driver: object) -> None:
    # The driver has no other way to its socket.
    transport = getattr(driver, "_transport", None)
    found = transport.get_extra_info("socket") if isinstance(transport, Transport) else None
    if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
        for level, option, value in _OURS:
            found.setsockopt(level, option, value)
