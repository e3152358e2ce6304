"""The documentation is true: its examples run, its tables are the program's, its paths exist."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest
from tests.proxies import KEY, RunningProxy, clean_environment
from tests.upstream import ScriptedUpstream

import officeai_proxy
from officeai_proxy import app, cli, errors
from officeai_proxy.api import faults
from officeai_proxy.model import Outcome
from officeai_proxy.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CHINESE = ROOT / "README.zh-CN.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *DECISIONS]

# What the README writes where a reader has an address and a key of their own.
EXAMPLE_ROOT = "http://127.0.0.1:8000"
EXAMPLE_KEY = "sk-oai-your-key"

SHELLS = ("bash", "sh")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """The program as the README starts it, in front of an upstream that echoes."""
    folder = tmp_path_factory.mktemp("documented")
    with (
        ScriptedUpstream() as upstream,
        RunningProxy(folder, {"UPSTREAM_BASE_URL": upstream.base_url}) as proxy,
    ):
        yield proxy


def blocks(document: Path, *languages: str) -> list[str]:
    """The code blocks of *document* in one of *languages*, or in any."""
    found = re.findall(
        r"^```(\w+)\n(.*?)^```$", document.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [text for language, text in found if not languages or language in languages]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table of *text* whose header begins with *heading*."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    assert table, f"no table headed {heading}"
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[1].splitlines()]


def code(cell: str) -> list[str]:
    """What of *cell* is written as code."""
    return re.findall(r"`([^`]+)`", cell)


def run(command: list[str], **environment: str) -> str:
    """What *command* prints; it must succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=clean_environment(**environment)
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_shell(script: str, **environment: str) -> str:
    """What a shell block prints; every line must succeed, and every answer of curl be good."""
    strict = 'set -eu\ncurl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
    return run(["bash", "-c", strict + script], **environment)


def for_the_reader(block: str, proxy: RunningProxy) -> str:
    """A block of the README with the address and the key of *proxy*."""
    return block.replace(EXAMPLE_ROOT, proxy.root).replace(EXAMPLE_KEY, KEY)


class TestReadme:
    """The first page, in both languages."""

    def test_it_begins_with_two_commands(self) -> None:
        """The first block is exactly the two scripts, each with a comment, and they are there."""
        first = blocks(README)[0].splitlines()

        names = [re.fullmatch(r"(scripts/\w+) +# .+", line) for line in first]

        assert [name and name[1] for name in names] == ["scripts/serve", "scripts/test"]
        for name in names:
            assert name
            assert os.access(ROOT / name[1], os.X_OK)

    def test_chinese_keeps_step(self) -> None:
        """The Chinese README has the same blocks, headings, links and names as the English one; its
        pictures are of the page in Chinese.
        """
        english, chinese = README.read_text("utf-8"), CHINESE.read_text("utf-8")
        assert len(re.findall(r"\.zh\.png", chinese)) == len(re.findall(r"\.png", english))
        chinese = chinese.replace(".zh.png", ".png")

        assert blocks(CHINESE) == blocks(README)
        for pattern in (r"^#+", r"^\| `[^`]+`", r"\]\((?!README)[^)]+\)"):
            ours, theirs = (
                re.findall(pattern, chinese, re.MULTILINE),
                re.findall(pattern, english, re.MULTILINE),
            )
            assert Counter(ours) == Counter(theirs)

    def test_python_and_curl_make_one_conversation(self, running: RunningProxy) -> None:
        """The blocks of Python and curl run, and those that read tell what they said."""
        [python] = blocks(README, "python")
        [chat] = [block for block in blocks(README, "bash") if "/v1/chat/completions" in block]
        [read] = [block for block in blocks(README, "bash") if "/history" in block]

        printed = run([sys.executable, "-c", for_the_reader(python, running)])
        answered = run_shell(for_the_reader(chat, running))
        told = run_shell(for_the_reader(read, running))

        assert printed == "echo: Where shall we go?"
        assert "echo: And when?" in answered
        assert "echo: Where shall we go?" in told
        assert [text for _, text in running.path_of("trip")] == [
            "Where shall we go?",
            "echo: Where shall we go?",
            "And when?",
            "echo: And when?",
        ]

    def test_the_environment_is_enough(self, running: RunningProxy) -> None:
        """With the variables of the block a program that knows of no proxy is recorded."""
        [exports] = [block for block in blocks(README, "bash") if "OPENAI_CUSTOM_HEADERS" in block]
        program = (
            "from openai import OpenAI; OpenAI().chat.completions.create("
            "model='m', messages=[{'role': 'user', 'content': 'hello'}])"
        )

        run_shell(f'{for_the_reader(exports, running)}"{sys.executable}" -c "{program}"')

        assert running.path_of("s1", user_identifier="alice") == [
            ("user", "hello"),
            ("assistant", "echo: hello"),
        ]

    def test_demo_runs(self, tmp_path: Path) -> None:
        """The demo's command starts a proxy on which the README's chat works with a made key."""
        [line] = [block for block in blocks(README, "sh") if block.endswith(" demo\n")]
        [chat] = [block for block in blocks(README, "bash") if "/v1/chat/completions" in block]
        path, *command = line.split()

        with RunningProxy(tmp_path, {"API_KEYS": ""}, command=tuple(command)) as proxy:
            made = re.search(r"key +(sk-oai-\S+)", proxy.banner)
            assert made, proxy.banner
            example = chat.replace(EXAMPLE_ROOT, proxy.root).replace(EXAMPLE_KEY, made[1])
            answered = run_shell(example)

        assert path == ".venv/bin/officeai-proxy"
        assert "You said: “And when?”" in answered

    def test_commands_are_all_there(self) -> None:
        """The table of commands is the command line's own, with its own words."""
        told = [(code(name)[0], text) for name, text in rows(README.read_text("utf-8"), "Command")]

        assert told == list(commands(cli.root, "officeai-proxy"))

    def test_settings_exist(self) -> None:
        """The main settings are settings of the program."""
        names = {code(row[0])[0] for row in rows(README.read_text("utf-8"), "Setting")}

        assert names <= {name for names in setting_names().values() for name in names}


def commands(group: click.Group, path: str) -> Iterator[tuple[str, str]]:
    """Every command below *group*, and the first sentence of its help."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            names = sorted(command.list_commands(context), key=_in_the_order_of_use)
            for inner in names:
                leaf = command.get_command(context, inner)
                assert leaf
                yield f"{path} {name} {inner}", _first_sentence(leaf)
        else:
            yield f"{path} {name}", _first_sentence(command)


def _in_the_order_of_use(name: str) -> int:
    order = ("create", "list", "revoke", "upgrade", "check")
    return order.index(name) if name in order else len(order)


def _first_sentence(command: click.Command) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


class TestCommandLine:
    """What `--help` says and what it costs."""

    @pytest.mark.parametrize("name", cli.COMMANDS)
    def test_short_help_is_that_of_the_command(self, name: str) -> None:
        """The line in the list of commands is how the command's own help begins."""
        command = cli.root.get_command(click.Context(cli.root), name)
        assert command

        assert (command.help or "").startswith(cli.COMMANDS[name].rstrip("."))

    def test_help_imports_no_command(self) -> None:
        """Help answers at once, because neither a command nor what it needs is imported."""
        program = (
            "import sys; from officeai_proxy.cli import root; "
            "root(['--help'], standalone_mode=False); print(*sys.modules)"
        )

        imported = set(run([sys.executable, "-c", program]).split())

        # Every command has the standard streams, which take nothing to import.
        commands = {name for name in imported if name.startswith("officeai_proxy.cli.")}
        assert commands == {"officeai_proxy.cli.standard"}
        assert not imported & {"fastapi", "pydantic", "sqlalchemy", "httpx", "uvicorn"}


def setting_names() -> dict[str, list[str]]:
    """The environment's names of each setting, the one of our own first."""
    names: dict[str, list[str]] = {}
    for name, setting in Settings.model_fields.items():
        choices = getattr(setting.validation_alias, "choices", None)
        names[name] = [str(c) for c in choices] if choices else [f"OFFICEAI_{name.upper()}"]
    return names


def default_of(name: str) -> str:
    """A setting's default as one would write it; nothing when there is none."""
    value = Settings.model_fields[name].get_default(call_default_factory=True)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    return "" if value in (None, (), {}) else str(value)


class TestSettings:
    """Every setting, with its default and its meaning, in all places."""

    def test_the_table_is_the_program(self) -> None:
        """docs/settings.md has every setting in order, its names, default and meaning, no other."""
        text = (ROOT / "docs" / "settings.md").read_text("utf-8")

        told = [
            (code(names), "".join(code(default)), meaning)
            for names, default, meaning in rows(text, "Setting")
        ]

        assert told == [
            (names, default_of(name), Settings.model_fields[name].description)
            for name, names in setting_names().items()
        ]

    def test_the_example_is_complete(self) -> None:
        """.env.example has every setting, commented out, with its meaning and its default."""
        text = (ROOT / ".env.example").read_text("utf-8")

        for name, names in setting_names().items():
            meaning = Settings.model_fields[name].description
            assert f"# {meaning}\n# {names[0]}={default_of(name)}\n" in text
        written = re.findall(r"^(?:# )?(\w+)=", text, re.MULTILINE)
        ours = [names[0] for names in setting_names().values()]
        assert written == [*ours, "POSTGRES_PASSWORD"]

    def test_the_example_changes_nothing(self, tmp_path: Path) -> None:
        """With every line of .env.example in force the settings are what they are without it."""
        text = (ROOT / ".env.example").read_text("utf-8")
        (tmp_path / ".env").write_text(
            re.sub(r"^# (\w+=)", r"\1", text, flags=re.MULTILINE), "utf-8"
        )

        assert load_settings() == load_settings(_env_file=None)

    def test_officeai_toml_has_the_same_names(self, tmp_path: Path) -> None:
        """In officeai.toml a setting stands in lower case and without the prefix."""
        (tmp_path / "officeai.toml").write_text(
            'grace_seconds = 10\nupstream_base_url = "http://127.0.0.1:11434/v1"\n', "utf-8"
        )

        settings = load_settings()

        assert settings.grace_seconds == 10
        assert settings.upstream_base_url == "http://127.0.0.1:11434/v1"

    def test_no_document_names_another_one(self) -> None:
        """Whatever begins with OFFICEAI_ in a document is a setting."""
        known = {name for names in setting_names().values() for name in names}

        for document in [*DOCUMENTS, ROOT / "Dockerfile", ROOT / "docker-compose.yml"]:
            named = set(re.findall(r"OFFICEAI_[A-Z_]*[A-Z]", document.read_text("utf-8")))
            assert named <= known, document.name


class TestApi:
    """docs/api.md against the application."""

    TEXT = (ROOT / "docs" / "api.md").read_text("utf-8")

    # These have no place in the API's own description.
    UNDESCRIBED = frozenset({"ANY /v1/{path}", "GET /docs", "GET /openapi.json"})

    def test_every_route_has_a_line(self) -> None:
        """The tables of routes are exactly the routes that the application has."""
        told = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| \S", self.TEXT, re.MULTILINE)
        paths = app.create_app(load_settings()).routes.openapi()["paths"]

        described = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}

        assert Counter(told) == Counter(described | self.UNDESCRIBED)

    def test_every_error_has_a_line(self) -> None:
        """The table of errors has every code that we raise, under its status, and no other."""
        told = [("".join(code(row[0])), int(row[1])) for row in rows(self.TEXT, "Code")]

        load_every_module()
        raised = {(kind.code or "", kind.status) for kind in error_classes(errors.ProxyError)}
        source = Path(faults.__file__).read_text("utf-8")
        raised |= {(literal, 500) for literal in re.findall(r'code="(\w+)"', source)}

        assert Counter(told) == Counter(raised)

    def test_every_outcome_has_a_line(self) -> None:
        """The table of outcomes has every outcome that a call can have."""
        assert [code(row[0])[0] for row in rows(self.TEXT, "Outcome")] == list(Outcome)

    def test_every_example_runs(self, running: RunningProxy) -> None:
        """The examples work from top to bottom, each with a good answer."""
        for block in blocks(ROOT / "docs" / "api.md", *SHELLS):
            run_shell(block, PROXY=running.root, KEY=KEY)

    def test_a_name_in_chinese(self, running: RunningProxy) -> None:
        """The program with names that are not ASCII runs, and its call is recorded under them."""
        [program] = blocks(ROOT / "docs" / "api.md", "python")

        run([sys.executable, "-c", for_the_reader(program, running)])

        assert len(running.path_of("行程", user_identifier="张三")) == 2


def load_every_module() -> None:
    """Import the whole package: a class is known to its base only once its module is loaded."""
    for module in pkgutil.walk_packages(officeai_proxy.__path__, "officeai_proxy."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def error_classes(kind: type[errors.ProxyError]) -> Iterator[type[errors.ProxyError]]:
    """*kind* and all below it that are the program's own."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("officeai_proxy."):
            yield from error_classes(below)


def test_the_layers_are_those_of_the_contract() -> None:
    """What is drawn in docs/architecture.md is what `lint-imports` proves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [contract] = [one for one in project["tool"]["importlinter"]["contracts"] if "layers" in one]
    [_, text] = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("\n## Layers\n")
    drawing = text.split("```")[1]

    lines = [line for line in drawing.splitlines() if line and not line.startswith(" ")]
    assert lines == contract["layers"]


def test_every_file_of_the_data_directory_has_a_line(running: RunningProxy) -> None:
    """Whoever looks into it finds each file in docs/architecture.md, with what it is."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    told = [
        first + name if name.startswith(("-", ".")) else name
        for cell, _ in rows(text, "In the data directory")
        for first, *more in [code(cell)]
        for name in (first, *more)
    ]
    data = running.folder / "data"
    files = [str(file.relative_to(data)) for file in data.rglob("*") if file.is_file()]

    assert "officeai.db" in files
    assert [file for file in files if not any(fnmatch(file, name) for name in told)] == []


class TestDecisions:
    """docs/decisions: one page each, and something that keeps them."""

    def test_they_are_numbered_without_gaps(self) -> None:
        """The files are 0001, 0002 and so on, and each title has its file's number."""
        numbers = [document.name[:4] for document in DECISIONS]

        assert numbers == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
        for document in DECISIONS:
            assert document.read_text("utf-8").startswith(f"# {document.name[:4]}: ")

    @pytest.mark.parametrize("document", DECISIONS, ids=lambda path: path.stem)
    def test_each_is_a_page_with_its_parts(self, document: Path) -> None:
        """Context, decision, consequences, alternatives and what keeps it, on one page."""
        text = document.read_text("utf-8")

        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)

        assert parts == ["Context", "Decision", "Consequences", "Alternatives", "Kept by"]
        assert len(text.splitlines()) <= 60
        assert re.search(r"`tests/|import contract", text.partition("## Kept by")[2])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_to_exists(document: Path) -> None:
    """Every path of the project in a document, and every link to a file, leads somewhere."""
    text = document.read_text("utf-8")

    for path in re.findall(r"`((?:src|tests|scripts|docs|alembic)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith("https://"):
            assert (document.parent / link).exists(), link
