"""Many writers at once: nothing is lost, and each writer's messages stay in order."""

import asyncio
from contextlib import AsyncExitStack

from tests.session_history.conftest import House, NewService

from officeai_proxy.session_history import Session, SessionHistoryService, TextContent

WRITERS = 20
EACH = 50


async def write(service: SessionHistoryService, session: Session, writer: int, count: int) -> None:
    """Append *count* messages, one after the other."""
    for number in range(count):
        await service.append_message(session, {"role": "user", "content": f"{writer} {number}"})


def numbers_of(session: Session | None) -> dict[int, list[int]]:
    """What each writer's messages are, in the order in which they are kept."""
    assert session is not None
    found: dict[int, list[int]] = {}
    for message in session.messages:
        assert message.content
        [part] = message.content
        assert isinstance(part, TextContent)
        writer, number = map(int, part.text.split())
        found.setdefault(writer, []).append(number)
    return found


async def test_a_thousand_appends_at_once(house: House, user: str) -> None:
    """1,000 appends to one session by 20 writers of two programs are all kept, in order."""
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(house.database_service()) for _ in range(2)]
        await services[0].create_session(user, "busy")
        async with asyncio.TaskGroup() as tasks:
            for writer in range(WRITERS):
                own = Session(id="busy", user_id=user)
                tasks.create_task(write(services[writer % 2], own, writer, EACH))

        kept = numbers_of(await services[0].get_session(user, "busy"))

    assert kept == {writer: list(range(EACH)) for writer in range(WRITERS)}


async def test_writers_over_http_and_beside_it(house: House, user: str) -> None:
    """Writers that ask the proxy and writers on its database do not lose each other's messages."""
    async with house.database_service() as direct, house.http_service() as asking:
        await direct.create_session(user, "busy")
        async with asyncio.TaskGroup() as tasks:
            for writer in range(10):
                own = Session(id="busy", user_id=user)
                tasks.create_task(write((direct, asking)[writer % 2], own, writer, 5))

        kept = numbers_of(await asking.get_session(user, "busy"))

    assert kept == {writer: list(range(5)) for writer in range(10)}


async def test_appends_are_kept_in_the_order_of_their_calls(
    new_service: NewService, user: str
) -> None:
    """One program's appends that overlap are stored in the order in which they were called."""
    service = new_service()
    session = await service.create_session(user)

    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            message = {"role": "user", "content": f"0 {number}"}
            tasks.create_task(service.append_message(session, message))

    assert numbers_of(session) == {0: list(range(40))}
    assert numbers_of(await service.get_session(user, session.id)) == {0: list(range(40))}


async def test_creating_the_same_session_at_once(house: House, user: str) -> None:
    """Of many that create one session at the same time each gets it, and there is one."""
    async with house.database_service() as direct, house.http_service() as asking:
        services = [direct, asking] * 5
        made = await asyncio.gather(*(one.create_session(user, "s1") for one in services))

        assert made == [Session(id="s1", user_id=user)] * 10
        assert len(await direct.list_sessions(user)) == 1
