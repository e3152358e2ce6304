"""`officeai-proxy demo`: the proxy with a built-in upstream that streams canned answers."""

from pathlib import Path

import click
from pydantic import SecretStr

from officeai_proxy.cli.ending import end_while_starting
from officeai_proxy.cli.serving import serve
from officeai_proxy.demo.upstream import DemoUpstream
from officeai_proxy.settings import load_settings


@click.command("demo")
@click.option("--host", help="The address to listen on (OFFICEAI_HOST).")
@click.option("--port", type=int, help="The port to listen on (OFFICEAI_PORT).")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the data is (OFFICEAI_DATA_DIR)."
)
def command(**options: object) -> None:
    """Run the proxy with a built-in upstream; no model and no key needed.

    Example: officeai-proxy demo, then the curl lines that its first start prints.
    """
    end_while_starting()
    given = {name: value for name, value in options.items() if value is not None}
    with DemoUpstream() as upstream:
        given |= {"upstream_base_url": upstream.base_url, "upstream_api_key": SecretStr("demo")}
        serve(load_settings(**given), upstream_note="built in, canned answers")
