"""A forward proxy on a loopback port, CONNECT or SOCKS5; all names lead to one local port."""

import socket
import threading
from contextlib import suppress
from types import TracebackType

CLIENT_HELLO_SIZE = 3


class ForwardProxy:
    """The proxy, in threads of its own; a context manager. `asked` holds the names it was given."""

    def __init__(self, target: int, *, speaks_socks: bool) -> None:
        """Lead everything to the port *target*."""
        self._target = target
        self._speaks_socks = speaks_socks
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        scheme = "socks5" if self._speaks_socks else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "ForwardProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as up:
            first = self._socks(client) if self._speaks_socks else self._http(client)
            up.sendall(first)
            back = threading.Thread(target=_copy, args=(up, client), daemon=True)
            back.start()
            _copy(client, up)
            back.join(10)

    def _http(self, client: socket.socket) -> bytes:
        """CONNECT opens a tunnel; any other request is passed on (RFC 9110, section 9.3.6)."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        self.asked.append(head.split(b" ")[1].decode())
        if not head.startswith(b"CONNECT "):
            return head
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return b""

    def _socks(self, client: socket.socket) -> bytes:
        """SOCKS5 without authentication (RFC 1928), addresses as names."""
        client.recv(CLIENT_HELLO_SIZE, socket.MSG_WAITALL)
        client.sendall(b"\x05\x00")
        *_, size = client.recv(5, socket.MSG_WAITALL)
        name = client.recv(size, socket.MSG_WAITALL)
        client.recv(2, socket.MSG_WAITALL)
        self.asked.append(name.decode())
        client.sendall(b"\x05\x00\x00\x01" + bytes(6))
        return b""


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
