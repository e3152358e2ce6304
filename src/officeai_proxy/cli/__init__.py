"""The command line: `officeai-proxy serve | demo | keys | export | import | search | …`.

Each command's module is imported when it is called: `--help` answers at once.
"""

import importlib
import sys
from errno import EBADF, EDQUOT, EFBIG, EIO, ENOSPC
from keyword import iskeyword

import click
from typing_extensions import override

from officeai_proxy import __version__
from officeai_proxy.cli.standard import (
    give_up_output,
    hold_places,
    in_one_line,
    show_by_escapes,
)
from officeai_proxy.errors import ConfigurationError, ProxyError

COMMANDS = {
    "serve": "Run the proxy.",
    "demo": "Run the proxy with a built-in upstream; no model and no key needed.",
    "keys": "Make, list, rotate and revoke keys.",
    "export": "Write conversations to a file.",
    "import": "Bring conversations of a file into the database.",
    "search": "Find messages that say all of the words, newest first.",
    "stats": "Count calls, tokens, cost and times.",
    "users": "Erase people.",
    "prune": "Delete what is too old, and empty the bin, for good.",
    "audit": "Read the audit log, and prove that it is whole.",
    "set-aside": "See, retry and drop calls that could not be stored.",
    "db": "Upgrade, check or index the database.",
    "doctor": "Look at the configuration and say what is wrong with it.",
}

WRONG_CONFIGURATION = 2
FAILED = 1

NO_MORE = frozenset({ENOSPC, EDQUOT, EFBIG, EIO})
"""What a file says that takes no more; of an open one, such as standard output, without a name."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own name, imported on demand."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"officeai_proxy.cli.{_module_of(cmd_name)}")
        command: click.Command = module.command
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above, so that help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _module_of(name: str) -> str:
    """The module of a command; one whose name is a word of Python's has a stroke behind it."""
    return f"{name}_" if iskeyword(name) else name.replace("-", "_")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="officeai-proxy")
def root() -> None:
    """A recording proxy for OpenAI clients.

    Settings come from OFFICEAI_… variables, from .env and from officeai.toml.
    """


def main() -> None:
    """Run the command line; a wrong configuration is one line and exit code 2."""
    refusals = NO_MORE | {EBADF} if hold_places() else NO_MORE
    show_by_escapes()
    try:
        root(prog_name="officeai-proxy", standalone_mode=True)
    except ConfigurationError as error:
        click.echo(f"officeai-proxy: {in_one_line(str(error))}", err=True)
        sys.exit(WRONG_CONFIGURATION)
    except ProxyError as error:
        click.echo(f"officeai-proxy: {in_one_line(str(error))}", err=True)
        sys.exit(FAILED)
    except OSError as error:
        if error.errno not in refusals or error.filename is not None:
            raise
        give_up_output()
        told = f"standard output cannot be written: {error.strerror}."
        click.echo(f"officeai-proxy: {told}", err=True)
        sys.exit(FAILED)
