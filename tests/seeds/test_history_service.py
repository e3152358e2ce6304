"""004: the notebook of the session history service, cell by cell, on every kind of service."""

import ast
import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.proxies import RunningProxy
from tests.seeds.examples import HERE
from typing_extensions import override

from officeai_proxy.session_history import InMemorySessionHistoryService, SessionHistoryService

CELLS = sorted((HERE / "004").glob("*.py"))

MADE = "InMemorySessionHistoryService"


async def run_cell(text: str, **names: object) -> dict[str, Any]:
    """Run a cell as a notebook does, where `await` needs no function; the names that it leaves."""
    code = compile(text, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    left = dict(names)
    running = eval(code, left)
    if inspect.isawaitable(running):
        await running
    return left


def ours(cell: Path) -> str:
    """A cell whose imports name our package."""
    return re.sub(r"agentscope_runtime\.[\w.]+", "officeai_proxy.session_history", cell.read_text())


@pytest.fixture(params=["memory", "database", "http"])
def service(request: pytest.FixtureRequest) -> str:
    """How a program makes its service; in a database sessions are begun only when one says so."""
    if request.param == "memory":
        return f"{MADE}()"
    proxy: RunningProxy = request.getfixturevalue("sqlite_proxy")
    if request.param == "database":
        url = proxy.settings["DATABASE_URL"]
        return f"DatabaseSessionHistoryService({url!r}, create_missing=True)"
    return f"HttpSessionHistoryService({proxy.root!r}, {proxy.key!r}, create_missing=True)"


@pytest.fixture
async def memory() -> AsyncIterator[InMemorySessionHistoryService]:
    """A service in memory."""
    async with InMemorySessionHistoryService() as service:
        yield service


def test_a_service_of_ones_own_has_all_methods() -> None:
    """The abstract class refuses to be a service that lacks one of its eight methods."""

    class Forgetful(SessionHistoryService):
        @override
        async def start(self) -> None:
            pass

    with pytest.raises(TypeError, match="abstract"):
        Forgetful()  # type: ignore[abstract]  # which is what it shows
    assert SessionHistoryService.__abstractmethods__ == {
        *("create_session", "get_session", "list_sessions", "append_message", "delete_session"),
        *("start", "stop", "health"),
    }


@pytest.mark.parametrize("cell", CELLS[:-1], ids=lambda cell: cell.stem)
async def test_a_cell_runs(cell: Path, service: str) -> None:
    """Each cell runs, with all that it asserts, when its imports name our package."""
    kind = service.partition("(")[0]

    await run_cell(ours(cell).replace(f"{MADE}()", service).replace(MADE, kind))


async def test_the_session_object_says_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The first cell prints the session's id, its user and how many messages it has."""
    left = await run_cell(ours(CELLS[0]))

    assert left["session_obj"].messages[1].content[0].text == "Hi there!"
    assert capsys.readouterr().out.splitlines() == [
        "Session ID: session_123",
        "User ID: user_456",
        "Message count: 2",
    ]


async def test_a_session_has_the_name_that_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """The second cell prints a UUID for the session without a name, and the name of the other."""
    await run_cell(ours(CELLS[1]))

    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Created session: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", printed[0])
    assert printed[1:] == [
        "User ID: test_user",
        "Messages count: 0",
        "Custom session ID: my_custom_session_id",
    ]


async def test_the_life_of_a_service(memory: InMemorySessionHistoryService) -> None:
    """The last cell finds the service healthy between start and stop, and it is not after that."""
    left = await run_cell(ours(CELLS[-1]), session_history_service=memory)

    assert left["is_healthy"] is True
    assert await memory.health() is False
