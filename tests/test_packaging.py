"""What is shipped works: scripts, pinned requirements, the image, the compose file, the wheel."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.proxies import RunningProxy, clean_environment
from tests.test_docs import ROOT, setting_names
from tests.upstream import ScriptedUpstream

from officeai_proxy import __version__
from officeai_proxy.app import DRAIN_SECONDS
from officeai_proxy.settings import load_settings

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STAGES = re.split(r"^(?=FROM )", re.sub(r"\\\n", " ", DOCKERFILE), flags=re.MULTILINE)[1:]

SHELL_SCRIPTS = [
    path
    for path in sorted((ROOT / "scripts").iterdir())
    if path.is_file() and "python" not in path.read_text("utf-8").partition("\n")[0]
]

# Docker's own syntax: a variable of the shell or of `.env`, and what stands in for it.
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def lines_of(stage: str, instruction: str) -> list[str]:
    """What follows *instruction* in a stage of the Dockerfile, once for each time it is there."""
    return re.findall(rf"^{instruction} +(.+)$", stage, re.MULTILINE)


def without_variables(text: str) -> str:
    """A value of the compose file on a machine where nothing is set."""
    return VARIABLE.sub(lambda found: found[2] or "", text)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it; the build backend comes from the package index."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
    done = subprocess.run(
        [*pip, "--wheel-dir", folder, ROOT], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


class TestScripts:
    """scripts/: plain POSIX shell."""

    @pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
    def test_any_shell_can_read_it(self, path: Path) -> None:
        """Nothing in a script needs more than /bin/sh."""
        done = subprocess.run(["sh", "-n", path], capture_output=True, text=True)

        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
    def test_it_can_be_started_or_says_that_it_is_sourced(self, path: Path) -> None:
        """What has a first line for the system may be executed, and the rest is sourced."""
        first = path.read_text("utf-8").partition("\n")[0]

        assert (first == "#!/bin/sh") == bool(path.stat().st_mode & 0o100)
        assert first == "#!/bin/sh" or "ourced" in first


PYTHON = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
*venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*--version) [ ! -e no-pip ] ;;
esac
"""


class TestEnvironment:
    """scripts/environment, with a Python that only notes what it is asked for."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A clone in which nothing was set up yet."""
        folder = tmp_path / "a clone"
        (folder / "scripts").mkdir(parents=True)
        for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt"):
            (folder / name).touch()
        shutil.copy(ROOT / "scripts" / "environment", folder / "scripts")
        python = tmp_path / "python"
        python.write_text(PYTHON, "utf-8")
        python.chmod(0o700)
        return folder

    def _set_up(self, folder: Path) -> list[str]:
        """What Python is asked for: `venv` to make the environment, `-e` to put the project in."""
        log = folder / "log"
        log.unlink(missing_ok=True)
        subprocess.run(
            ["sh", "-euc", ". scripts/environment"],
            cwd=folder,
            env={**os.environ, "PYTHON": str(folder.parent / "python"), "LOG": str(log)},
            check=True,
            capture_output=True,
        )
        return re.findall(r"(?<=-m )venv|-e(?= \.)", log.read_text("utf-8"))

    def test_it_is_done_once(self, folder: Path) -> None:
        """And again when what is pinned has changed, into the same environment."""
        assert self._set_up(folder) == ["venv", "-e"]
        assert self._set_up(folder) == []
        (folder / "requirements.txt").write_text("more==1", "utf-8")
        assert self._set_up(folder) == ["-e"]

    def test_a_folder_that_was_moved_is_set_up_anew(self, folder: Path) -> None:
        """What is in .venv names the folder: it would not start, or run the code of another."""
        self._set_up(folder)
        moved = folder.rename(folder.with_name("elsewhere"))

        assert self._set_up(moved) == ["-e"]

    def test_one_without_pip_or_python_is_made_anew(self, folder: Path) -> None:
        """Whoever stopped it half way, or took away the Python it was made from, starts again."""
        self._set_up(folder)
        (folder / ".venv/bin/python").unlink()
        assert self._set_up(folder) == ["venv", "-e"]

        (folder / ".venv/made").unlink()
        (folder / "no-pip").touch()
        assert self._set_up(folder) == ["venv", "-e"]


class TestRequirements:
    """requirements*.txt: versions and hashes, no addresses."""

    @pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
    def test_everything_is_pinned_with_hashes(self, name: str) -> None:
        """Each requirement is one version with hashes, and no line names an index or an address."""
        text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")

        for line in text.splitlines():
            assert re.fullmatch(r"[\w.-]+==\S+( ;[^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), (
                line
            )

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("requirements.txt", PROJECT["project"]["dependencies"]),
            (
                "requirements-dev.txt",
                [*PROJECT["dependency-groups"]["test"], *PROJECT["dependency-groups"]["lint"]],
            ),
        ],
        ids=["run", "develop"],
    )
    def test_what_the_project_asks_for_is_pinned(self, name: str, wanted: list[str]) -> None:
        """After a change in pyproject.toml scripts/lock has been run."""
        pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / name).read_text("utf-8"), re.MULTILINE))

        asked = {re.split(r"[\[<>=;]", requirement)[0].strip() for requirement in wanted}

        assert asked <= pinned


class TestImage:
    """The Dockerfile, as far as it can be read without an engine."""

    def test_nothing_of_the_making_stays(self) -> None:
        """The last stage takes from an earlier one only, runs as no root and installs nothing."""
        last = STAGES[-1]

        assert len(STAGES) == 2
        assert all(line.startswith("--from=build ") for line in lines_of(last, "COPY"))
        assert lines_of(last, "USER") == ["officeai"]
        assert "pip" not in last

    def test_what_it_copies_is_there_and_let_through(self) -> None:
        """Each file that is copied exists, and .dockerignore leaves out all others."""
        ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        copied = {name for line in lines_of(STAGES[0], "COPY") for name in line.split()[:-1]}

        assert all((ROOT / name).exists() for name in copied)
        assert "*" in ignored
        assert {line[1:] for line in ignored if line.startswith("!")} == copied

    def test_requirements_are_checked_by_their_hashes(self) -> None:
        """The image has the versions of requirements.txt, the project, and what was asked for."""
        required, project, asked = (
            line for line in lines_of(STAGES[0], "RUN") if " install " in line
        )

        assert "--require-hashes -r requirements.txt" in required
        assert "--no-deps" in project
        assert asked == 'test -z "$PACKAGES" || /app/bin/pip install $PACKAGES'
        assert lines_of(STAGES[0], "ARG") == ["PACKAGES="]

    def test_it_starts_and_stops_as_a_container_should(self) -> None:
        """`docker run` serves, SIGTERM ends it, and the data is in a volume."""
        last = STAGES[-1]

        assert json.loads(lines_of(last, "ENTRYPOINT")[0]) == ["officeai-proxy"]
        assert json.loads(lines_of(last, "CMD")[0]) == ["serve"]
        assert lines_of(last, "STOPSIGNAL") == ["SIGTERM"]
        assert lines_of(last, "VOLUME") == ["/data"]

    def test_its_settings_are_good(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The image listens on all of its addresses and keeps its data in the volume."""
        for pair in shlex.split(" ".join(lines_of(STAGES[-1], "ENV"))):
            name, _, value = pair.partition("=")
            if name.startswith("OFFICEAI_"):
                monkeypatch.setenv(name, value)

        settings = load_settings()

        assert settings.host == "0.0.0.0"
        assert str(settings.data_dir) == "/data"
        assert lines_of(STAGES[-1], "EXPOSE") == [str(settings.port)]


class TestCompose:
    """docker-compose.yml, as far as it can be read without an engine."""

    PROXY: dict[str, Any] = COMPOSE["services"]["proxy"]

    def test_every_variable_exists(self) -> None:
        """What the file takes from the shell or .env is a setting, or stands in .env.example."""
        names = {name for names in setting_names().values() for name in names}
        example = (ROOT / ".env.example").read_text("utf-8")
        own = {"POSTGRES_PASSWORD"}

        used = {found[0] for found in VARIABLE.findall((ROOT / "docker-compose.yml").read_text())}

        assert used <= names | own
        assert set(self.PROXY["environment"]) <= names | {"PGPASSWORD"}
        assert all(f"# {name}=" in example for name in own)

    def test_its_settings_are_good(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a machine where nothing is set the proxy gets settings that it accepts."""
        for name, value in self.PROXY["environment"].items():
            monkeypatch.setenv(name, without_variables(value))

        settings = load_settings()

        assert settings.database == "postgresql://officeai@database:5432/officeai"
        assert settings.host == "0.0.0.0"
        assert settings.upstream_base_url == load_settings(_env_file=None).upstream_base_url

    def test_the_password_may_hold_anything(self) -> None:
        """It is in no URL, which `@`, `/` or `#` would break; the driver has it from beside it."""
        given = COMPOSE["services"]["database"]["environment"]["POSTGRES_PASSWORD"]
        holding = [name for name, value in self.PROXY["environment"].items() if given in value]

        assert holding == ["PGPASSWORD"]

    def test_an_upstream_on_the_machine_has_a_name(self) -> None:
        """`localhost` is the container, and only Docker Desktop gives such a name unasked."""
        assert self.PROXY["extra_hosts"] == ["host.docker.internal:host-gateway"]

    def test_only_the_proxy_can_be_reached_and_from_this_machine(self) -> None:
        """No port of the database is published, and the proxy's one on loopback by default."""
        [port] = self.PROXY["ports"]
        inside = self.PROXY["environment"]["OFFICEAI_PORT"]

        assert "ports" not in COMPOSE["services"]["database"]
        assert without_variables(port) == f"127.0.0.1:8000:{inside}"

    def test_the_proxy_waits_for_a_healthy_database(self) -> None:
        """The first start finds a database in which it can make the first key."""
        database = COMPOSE["services"]["database"]

        assert self.PROXY["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert database["image"] == "postgres:17"
        assert database["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]

    def test_data_is_in_named_volumes(self) -> None:
        """What each service writes stays when its container goes."""
        mounted = {
            name: service["volumes"][0].split(":") for name, service in COMPOSE["services"].items()
        }

        assert mounted["proxy"][1] == self.PROXY["environment"]["OFFICEAI_DATA_DIR"]
        assert {volume for volume, _ in mounted.values()} == set(COMPOSE["volumes"])

    def test_a_stop_leaves_time_for_running_calls(self) -> None:
        """Docker's patience is longer than the grace period and the emptying of the journal."""
        patience = int(self.PROXY["stop_grace_period"].removesuffix("s"))

        assert patience > load_settings().grace_seconds + DRAIN_SECONDS


class TestHealthCheck:
    """The command by which Docker asks whether the proxy is ready."""

    @staticmethod
    def of_the_image() -> list[str]:
        """The command of the Dockerfile."""
        [check] = lines_of(STAGES[-1], "HEALTHCHECK")
        command: list[str] = json.loads(check.partition("CMD ")[2])
        return command

    @staticmethod
    def ask(command: list[str], port: int) -> int:
        """The exit code of *command* where the proxy listens on *port*."""
        # A forward proxy of the environment must not be asked for this address.
        environment = clean_environment(OFFICEAI_PORT=str(port), http_proxy="http://127.0.0.1:9")
        program = [sys.executable, *command[1:]]
        return subprocess.run(program, env=environment, capture_output=True, timeout=60).returncode

    def test_nobody_there_is_not_healthy(self) -> None:
        """Where nothing listens the check fails."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))

            assert self.ask(self.of_the_image(), free.getsockname()[1]) != 0

    def test_a_running_proxy_is_healthy(self, tmp_path: Path, upstream: ScriptedUpstream) -> None:
        """Where the proxy serves the check succeeds."""
        with RunningProxy(tmp_path, {"UPSTREAM_BASE_URL": upstream.base_url}) as proxy:
            assert self.ask(self.of_the_image(), proxy.port) == 0

    def test_compose_asks_the_same(self) -> None:
        """The compose file has the image's command."""
        asked, *command = COMPOSE["services"]["proxy"]["healthcheck"]["test"]

        assert asked == "CMD"
        assert command == self.of_the_image()


class TestChangelog:
    """CHANGELOG.md keeps step with the version."""

    def test_the_newest_entry_is_this_version(self) -> None:
        """The first version in the changelog is the program's."""
        versions = re.findall(
            r"^## \[(.+)\] - (?:Unreleased|\d{4}-\d\d-\d\d)$",
            (ROOT / "CHANGELOG.md").read_text("utf-8"),
            re.MULTILINE,
        )

        assert versions[0] == __version__


class TestWheel:
    """What `pip install` installs."""

    def test_it_has_all_it_needs_and_no_more(self, wheel: Path) -> None:
        """Modules, migrations and the files of /docs are in it; tests and scripts are not."""
        package = ROOT / "src" / "officeai_proxy"
        wanted = {
            str(Path("officeai_proxy") / folder / file.relative_to(root))
            for root, folder in ((package, ""), (ROOT / "alembic", "_alembic"))
            for file in root.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }

        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())

        assert {name for name in names if ".dist-info/" not in name} == wanted
        assert "officeai_proxy/py.typed" in names, "type checkers take it for untyped (PEP 561)"
        kept = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
        vendored = "src/officeai_proxy/swagger/static"
        assert kept == {
            "LICENSE",
            f"{vendored}/LICENSE",
            f"{vendored}/NOTICE",
            f"{vendored}/swagger-ui-bundle.js.LICENSE.txt",
        }

    def test_it_serves_from_an_empty_folder(
        self, wheel: Path, tmp_path: Path, upstream: ScriptedUpstream
    ) -> None:
        """Installed, far from the checkout, it makes its tables, records a call and has /docs."""
        site = tmp_path / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        settings = {"UPSTREAM_BASE_URL": upstream.base_url}
        environment = {"PYTHONPATH": str(site)}
        where = [sys.executable, "-c", "import officeai_proxy; print(officeai_proxy.__file__)"]
        imported = subprocess.check_output(where, env=clean_environment(**environment), text=True)
        assert imported.startswith(str(site))

        with RunningProxy(tmp_path / "empty", settings, environment) as proxy:
            with proxy.client("trip", "alice") as client:
                body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
                assert client.post("/v1/chat/completions", json=body).status_code == 200
            said = proxy.path_of("trip")
            page = proxy.get("/docs")
            files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
            statuses = {proxy.get(f"/{file}").status_code for file in files}

        assert said == [("user", "hello"), ("assistant", "echo: hello")]
        assert files
        assert statuses == {200}
