"""`officeai-proxy serve`: check the configuration, and serve."""

import gc
from pathlib import Path

import click

from officeai_proxy.cli.ending import end_while_starting
from officeai_proxy.settings import load_settings


@click.command("serve")
@click.option("--host", help="The address to listen on (OFFICEAI_HOST).")
@click.option("--port", type=int, help="The port to listen on (OFFICEAI_PORT).")
@click.option("--workers", type=int, help="How many processes serve (OFFICEAI_WORKERS).")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the data is (OFFICEAI_DATA_DIR)."
)
@click.option("--upstream", help="The upstream's base URL (OFFICEAI_UPSTREAM_BASE_URL).")
def command(**options: object) -> None:
    """Run the proxy.

    Example: OPENAI_API_KEY=sk-... officeai-proxy serve --port 8000
    """
    end_while_starting()
    given = {name: value for name, value in options.items() if value is not None}
    if "upstream" in given:
        given["upstream_base_url"] = given.pop("upstream")
    settings = load_settings(**given)
    # What an import makes stays: to look for garbage in it takes an eighth of a start.
    gc.disable()
    from officeai_proxy.cli.serving import serve  # noqa: PLC0415 - wrong settings are told first

    gc.enable()
    serve(settings)
