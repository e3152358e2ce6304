"""The benchmarks run from beginning to end; what they measure is not judged here."""

import ast
import gc
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from benchmarks import gateways, length, recorder, run, size, table
from benchmarks.contestants import find_nginx
from benchmarks.databases import Site
from benchmarks.gateways import Installed, Launch, PeerMissing, install_all
from benchmarks.load import BenchmarkFailed
from benchmarks.peers import RunningPeer
from benchmarks.plan import QUICK
from benchmarks.processes import Cores, cpu_by_process, cpu_seconds, pinned
from benchmarks.workers import Cost
from tests.proxies import clean_environment

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Gateway:
    """A gateway that is installed and started by lines of shell."""

    install: str = "true"
    start: str = "true"
    title: str = "Gateway"
    needs: Sequence[str] = ()
    headers: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cost: table.Row = table.PORTKEY
    lighter: table.Row = table.PORTKEY_LIGHTER

    def installation(self, home: Path) -> list[tuple[str, ...]]:
        return [("sh", "-c", f"cd '{home}' && {self.install}")]

    def version(self, home: Path) -> str:
        return home.name

    def command(self, launch: Launch) -> tuple[str, ...]:
        return ("sh", "-c", self.start, str(launch.port))


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    """Figures are never written over a text that has no place for them."""
    document = tmp_path / "page.md"
    document.write_text("a page\n", encoding="utf-8")

    with pytest.raises(ValueError, match="needs the lines"):
        table.write(document, "figures")

    assert document.read_text("utf-8") == "a page\n"


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    """Writing twice keeps the text around the figures, and only the newer figures."""
    document = tmp_path / "page.md"
    document.write_text(f"before\n{table.BEGIN}\n{table.END}\nafter\n", encoding="utf-8")

    table.write(document, "old figures")
    table.write(document, "new figures")

    text = document.read_text("utf-8")
    assert text == f"before\n{table.BEGIN}\n\nnew figures\n{table.END}\nafter\n"


def test_the_page_has_a_place_for_the_figures() -> None:
    """`--write` finds both markers, once each, in docs/performance.md."""
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")

    assert text.count(table.BEGIN) == text.count(table.END) == 1
    assert text.index(table.BEGIN) < text.index(table.END)


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that was slow for one round was slow for both, and does not change the ratio."""
    figure = table.Figure(table.JSON_CALL, ours=[20.0, 200.0, 22.0], nginx=[10.0, 100.0, 10.0])

    assert figure.ratios == [2.0, 2.0, 2.2]
    assert figure.cells()[2:6] == ("10.0", "22.0", "2.00", "2.00 to 2.20")


def test_a_gateway_whose_programs_are_missing_is_left_out_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without node and npm, Portkey is not measured, and everything else is."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert install_all(["portkey"], tmp_path) == []

    said = capsys.readouterr().err
    assert said == "benchmarks: Portkey is left out: node and npm not installed\n"


def test_a_gateway_that_cannot_be_installed_is_left_out_with_the_installers_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What pip or npm said last is in the line that says why."""
    monkeypatch.setitem(gateways.PEERS, "gone", Gateway("echo no such package; exit 1"))

    assert install_all(["gone", "gone"], tmp_path) == []

    *_, last = capsys.readouterr().err.splitlines()
    assert last.endswith("Gateway is left out: it could not be installed: no such package")


def test_a_gateway_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is kept between runs is used as it is."""
    gateway = Gateway("echo once >> count")
    monkeypatch.setitem(gateways.PEERS, "kept", gateway)

    runs = [install_all(["kept"], tmp_path) for _ in range(2)]

    assert runs == [[Installed(gateway, tmp_path / "kept")]] * 2
    assert (tmp_path / "kept" / "count").read_text() == "once\n"


def test_a_gateway_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Its last line is told, without colours and frames."""
    start = "printf 'up\\n\\033[31mno key is set\\033[0m\\n----\\n'; exit 3"
    installed = Installed(Gateway(start=start), tmp_path)

    with pytest.raises(PeerMissing, match=r"did not start: no key is set$"):
        RunningPeer(installed, tmp_path / "files", upstream=1, core=Cores.allowed().contestant)


def test_a_database_that_has_no_room_is_not_begun(tmp_path: Path) -> None:
    """The disk is looked at before hours of filling, and the message names both sizes."""
    site = Site(tmp_path, Cores.allowed(), lambda name: f"sqlite:///{tmp_path / name}.db")

    with pytest.raises(BenchmarkFailed, match="messages need about"):
        list(size.by_size(size.Sizes(10**15, 1, 1), site))

    assert not list(tmp_path.iterdir())


def test_sizes_below_one_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`scripts/bench size --messages 0` measures nothing, and says so."""
    monkeypatch.setattr(sys, "argv", ["size", "--messages", "0"])

    with pytest.raises(SystemExit):
        size.main()

    assert "must be 1 or more" in capsys.readouterr().err


def test_a_worker_that_waits_is_as_slow_as_one_that_works() -> None:
    """Idle time of its cores counts against two workers; what others took of them does not."""
    waiting = Cost(calls=1000, cores=2, cpu=1.0, idle=1.0)
    working = Cost(calls=1000, cores=2, cpu=2.0, idle=0.0)

    assert waiting.rate == working.rate == 1000
    assert waiting.rate_busy == 2000


def test_a_contestant_never_shares_the_core_of_the_load(tmp_path: Path) -> None:
    """Cores are divided before the benchmark goes to its own, and each has what it was given."""
    if find_nginx() is None:
        pytest.skip("nginx is not installed")
    cores = Cores.allowed()
    site = Site(tmp_path, cores, lambda name: f"sqlite:///{tmp_path / name}.db")

    with pinned(cores.load):
        assert Cores.allowed().is_shared
        nginx = run._starts(1, site)["nginx"](tmp_path)
    try:
        assert os.sched_getaffinity(nginx.pid) == {cores.contestant}
    finally:
        nginx.stop()


def test_the_cpu_of_a_tree_is_that_of_its_processes() -> None:
    """Each process of a tree is named with its own time, and together they have all of it."""
    work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; sleep 60"
    root = subprocess.Popen(["sh", "-c", f"sh -c '{work}' & {work}; wait"], start_new_session=True)
    deadline = time.monotonic() + 50
    try:
        found = cpu_by_process(root.pid)
        while sum(seconds > 0 for seconds in found.values()) < 2:
            assert time.monotonic() < deadline, found
            found = cpu_by_process(root.pid)
        total = cpu_seconds(root.pid)
    finally:
        os.killpg(root.pid, signal.SIGKILL)
        root.wait()

    assert root.pid in found
    assert sum(found.values()) <= total


def test_garbage_is_collected_as_in_the_program() -> None:
    """The recorder is measured with the thresholds that the program sets, and they are put back."""
    sources = (ROOT / "src").rglob("*.py")
    said = re.findall(r"gc\.set_threshold(\(.*?\))", "".join(map(Path.read_text, sources)))
    before = gc.get_threshold()

    with recorder.collected_as_served():
        assert [gc.get_threshold()] == [ast.literal_eval(one) for one in said]

    assert gc.get_threshold() == before


def test_sessions_have_names_of_their_own_that_are_far_apart() -> None:
    """Neighbours do not land on the same page of an index, and no two have the same name."""
    names = [recorder.session_name(number) for number in (*range(5000), 2**31, 2**32 - 1)]

    assert len(set(names)) == len(names)
    assert len({name[:8] for name in names[:256]}) > 128


@pytest.mark.parametrize(("resent", "messages"), [(0, 1), (2, 5), (None, 13), (99, 13)])
def test_a_client_sends_as_many_turns_again_as_it_is_told(
    resent: int | None, messages: int
) -> None:
    """Only the newest message, a window, or everything there is."""
    [exchange] = recorder.turns([1], 7, 7, resent=resent)

    assert exchange.request.count(b'"role"') == messages


def test_long_conversations_go_on_without_a_break(tmp_path: Path) -> None:
    """Whatever clients send, each turn adds its two messages, once, to one line."""
    file = tmp_path / "officeai.db"

    with recorder.Bench(tmp_path / "journal", f"sqlite:///{file}") as bench:
        talks = length.Talks(bench, QUICK)
        talks.lengthen(50)
        samples = [talks.late(client, 50) for client in (length.NEWEST, length.WINDOW, length.ALL)]

    stored = 2 * (49 + 2 * length.TURNS + length.LARGE_TURNS)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT message_count, path_count FROM conversations").fetchall()
    assert rows == [(stored, stored)] * length.CONVERSATIONS
    assert [sample.work.exchanges for sample in samples] == [32, 32, 8]
    newest, window, everything = (one.request_bytes / one.work.exchanges for one in samples)
    assert newest < window < everything


@pytest.mark.timeout(900)
def test_a_quick_run_measures_every_row() -> None:
    """`--quick` ends well, and prints a figure of ours for each row of the table."""
    for program, found in (("nginx", find_nginx()), ("gcc", shutil.which("gcc"))):
        if found is None and os.environ.get("CI"):
            pytest.fail(f"{program} is not installed")
        if found is None:
            pytest.skip(f"{program} is not installed")

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--quick"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=880,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for row in table.ROWS:
        [line] = [line for line in lines if line.startswith(f"{row.title}  ")]
        assert any(character.isdigit() for character in line.removeprefix(row.title)), line
