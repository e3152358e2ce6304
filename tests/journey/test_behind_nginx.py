"""nginx in front, exactly as docs/settings.md has it."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trustme
from tests.conftest import StartProxy
from tests.journey.wires import chat, record_of, until
from tests.proxies import RunningProxy
from tests.upstream import stream_of

SETTINGS = Path(__file__).parents[2] / "docs" / "settings.md"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
USER = "user root;" if os.geteuid() == 0 else ""
ROUND_IT = """
daemon off; {user} pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/replies;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {server}
}}
"""
STARTS_SECONDS = 20

pytestmark = [
    pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]


@pytest.fixture
def proxy(start_proxy: StartProxy) -> RunningProxy:
    return start_proxy(TRUSTED_PROXIES="127.0.0.1")


@pytest.fixture
def kept_port() -> Iterator[socket.socket]:
    """A port that nobody but nginx can take: it shares it, and only nginx listens there."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept


@pytest.fixture
def front(proxy: RunningProxy, kept_port: socket.socket, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of nginx in front of `proxy`; addresses and files are others than in the text."""
    authority = trustme.CA()
    certificate = authority.issue_cert("office.example", "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "office.pem")
    example = re.search(r"```nginx\n(.*?)```", SETTINGS.read_text(), re.DOTALL)
    assert example
    port = kept_port.getsockname()[1]
    server = example[1].replace("listen 443", f"listen 127.0.0.1:{port} reuseport")
    server = server.replace("127.0.0.1:8000", f"127.0.0.1:{proxy.port}")
    server = re.sub(r"/etc/ssl/office\.(pem|key)", str(tmp_path / "office.pem"), server)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(ROUND_IT.format(folder=tmp_path, user=USER, server=server))
    command = (str(NGINX), "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with subprocess.Popen(command) as process:
        try:
            until(lambda: listens(port), patience=STARTS_SECONDS)
            with httpx.Client(
                base_url=f"https://localhost:{port}", verify=context, trust_env=False, timeout=20
            ) as client:
                yield client
        finally:
            process.terminate()


def listens(port: int) -> bool:
    """Whether somebody takes connections on *port*."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_everything_passes(front: httpx.Client, proxy: RunningProxy) -> None:
    """A stream byte for byte, a caller's address, the page's sign-in, and a large body."""
    named = {**proxy.headers("s"), "X-Forwarded-For": "203.0.113.7"}
    reply = front.post("/v1/chat/completions", headers=named, content=chat("hi", stream=True))
    origin = {"Origin": str(front.base_url)}
    entered = front.post("/ui/enter", headers=origin, data={"key": proxy.key})
    told = {"role": "user", "content": "x" * 1_500_000}
    large = json.dumps({"session_id": "large", "messages": [told]}) + "\n"
    imported = front.post("/conversations/import", headers=proxy.headers(), content=large)

    assert reply.content == b"".join(stream_of("echo: hi"))
    assert record_of(proxy)["user"] == "203.0.113.7"
    assert (entered.status_code, "Secure" in entered.headers["set-cookie"]) == (303, True)
    assert (imported.status_code, imported.json()["imported"]) == (200, 1)
