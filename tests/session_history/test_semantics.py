"""What a session history service promises, the same of every kind but where it says otherwise."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.session_history.conftest import NewService

from officeai_proxy.errors import NotFound, UnprocessableInput
from officeai_proxy.session_history import (
    HttpSessionHistoryService,
    InMemorySessionHistoryService,
    Message,
    Role,
    Session,
    SessionHistoryService,
    TextContent,
)
from officeai_proxy.wire import jsontext


def said(text: str, role: str = "user") -> Message:
    return Message(role=role, content=[TextContent(type="text", text=text)])


def texts(session: Session | None) -> list[str]:
    assert session is not None
    return [
        "".join(part.text for part in message.content or [] if isinstance(part, TextContent))
        for message in session.messages
    ]


def as_given(session: Session | None) -> list[dict[str, Any]]:
    """The messages without what the models fill in by themselves."""
    assert session is not None
    return [message.model_dump(exclude_unset=True) for message in session.messages]


WRONG: list[object] = [
    None,
    "hello",
    7,
    {"content": "no role"},
    {"role": "robot", "content": "no such role"},
    {"role": None, "content": "no role"},
    {"role": "user", "content": object()},
    {"role": "user", "content": "fine", "score": float("nan")},
]

UNUSABLE = ("a/b", "x" * 256, "tab\there", "\ud800")

ODD: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "n": 2**70}]},
    {"role": "assistant", "tool_calls": []},
    {"role": "tool", "content": [{"type": "text", "text": "42"}], "tool_call_id": "c1"},
    {"role": "user", "content": []},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]},
    {"role": "user", "content": [{"type": "data", "data": {"a": [1.5, None, True]}}]},
    {"role": "user", "content": [{"no_type": 1}, {"type": "text", "text": "b", "x": {}}]},
    {"role": "user", "content": [{"type": "text", "text": " \0 half \ud83d 装饰器 \n"}]},
    {"role": "system", "content": [{"type": "text", "text": ""}], "name": "n", "$": 1},
    {"role": "user", "content": [{"type": "text", "text": "a"}], "id": "m", "usage": None},
]


class ForeignMessage:
    """Another library's message: an object that can tell itself as a dict."""

    def model_dump(self) -> dict[str, Any]:
        part = {"type": "text", "text": "foreign", "index": None}
        return {"role": Role.ASSISTANT, "content": [part], "status": "completed"}


class TestNames:
    """What may be called how."""

    async def test_unusable_session_ids_are_refused(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """A name that no address or table can hold is refused where a session is wanted."""
        for session_id in UNUSABLE:
            for call in (service.create_session, service.get_session):
                with pytest.raises(UnprocessableInput, match="session_id"):
                    await call(user, session_id)

    async def test_under_an_unusable_name_there_is_nothing_to_delete(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Deleting what cannot be there is as little an error as deleting what is not there."""
        session = await service.create_session(user)
        for name in UNUSABLE:
            await service.delete_session(user, name)
            await service.delete_session(name, session.id)

        assert [one.id for one in await service.list_sessions(user)] == [session.id]

    async def test_what_is_no_text_is_refused(self, service: SessionHistoryService) -> None:
        """A name of another type is the library's own error, from every method that takes one."""
        wrong: Any
        for wrong in (None, 7, b"ann", ["ann"]):
            with pytest.raises(UnprocessableInput, match="user_id is a text"):
                await service.create_session(wrong)
            with pytest.raises(UnprocessableInput, match="user_id is a text"):
                await service.list_sessions(wrong)
            for call in (service.get_session, service.delete_session):
                with pytest.raises(UnprocessableInput, match="user_id is a text"):
                    await call(wrong, "s1")
                if wrong is not None:
                    with pytest.raises(UnprocessableInput, match="session_id is a text"):
                        await call("ann", wrong)

    async def test_unusable_users_are_refused(self, service: SessionHistoryService) -> None:
        """Nobody in particular has no sessions: a user is always named."""
        for user_id in ("", "  ", "a/b"):
            with pytest.raises(UnprocessableInput, match="user_id"):
                await service.create_session(user_id)
            with pytest.raises(UnprocessableInput, match="user_id"):
                await service.list_sessions(user_id)

    async def test_blank_ids_become_uuids(self, service: SessionHistoryService, user: str) -> None:
        """A blank or absent id is replaced by a UUID, a new one each time."""
        created = [await service.create_session(user, blank) for blank in (None, "", "  \t", "")]

        assert len({UUID(session.id) for session in created}) == 4
        for session in created:
            assert (session.user_id, session.messages) == (user, [])

    async def test_names_lose_the_space_around_them(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """White space around a name is no part of it."""
        created = await service.create_session(user, "  会话 1 ")

        assert created.id == "会话 1"
        assert await service.get_session(user, " 会话 1") == created


class TestCreating:
    """Sessions begin."""

    async def test_an_existing_session_is_not_overwritten(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """To create what is there gives it as it is, messages and all."""
        session = await service.create_session(user, "s1")
        await service.append_message(session, said("hello"))

        again = await service.create_session(user, "s1")

        assert texts(again) == ["hello"]
        assert len(await service.list_sessions(user)) == 1

    async def test_the_same_id_of_another_user_is_another_session(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Nothing of one user's session is seen, changed or deleted through another user's."""
        other = f"{user}-other"
        mine = await service.create_session(user, "s1")
        theirs = await service.create_session(other, "s1")
        await service.append_message(mine, said("mine"))
        await service.append_message(theirs, said("theirs"))

        assert texts(await service.get_session(user, "s1")) == ["mine"]
        await service.delete_session(user, "s1")
        assert texts(await service.get_session(other, "s1")) == ["theirs"]
        assert [one.id for one in await service.list_sessions(other)] == ["s1"]
        assert await service.list_sessions(user) == []


class TestMissing:
    """Sessions that are not there."""

    async def test_the_default_is_that_of_the_kind(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """A session never seen comes into being in memory, and is None elsewhere."""
        found = await service.get_session(user, "s1")

        expected = (
            Session(id="s1", user_id=user)
            if isinstance(service, InMemorySessionHistoryService)
            else None
        )
        assert found == expected
        assert len(await service.list_sessions(user)) == (expected is not None)

    async def test_missing_ones_are_created_when_asked_for(
        self, new_service: NewService, user: str
    ) -> None:
        """With create_missing both reading and appending begin a session."""
        service = new_service(create_missing=True)

        assert await service.get_session(user, "read") == Session(id="read", user_id=user)
        await service.append_message(Session(id="written", user_id=user), said("hello"))

        assert [one.id for one in await service.list_sessions(user)] == ["written", "read"]
        assert texts(await service.get_session(user, "written")) == ["hello"]

    async def test_missing_ones_stay_missing_otherwise(
        self, new_service: NewService, user: str
    ) -> None:
        """Without it reading gives None, and appending is refused instead of losing a message."""
        service = new_service(create_missing=False)
        session = Session(id="s1", user_id=user)

        assert await service.get_session(user, "s1") is None
        with pytest.raises(NotFound):
            await service.append_message(session, said("hello"))

        assert session.messages == []
        assert await service.list_sessions(user) == []

    @pytest.mark.parametrize("create_missing", [False, True])
    async def test_deleted_ones_stay_deleted(
        self, new_service: NewService, user: str, create_missing: bool
    ) -> None:
        """A deleted session is None and takes no message; only creating it begins it anew."""
        service = new_service(create_missing=create_missing)
        session = await service.create_session(user, "s1")
        await service.append_message(session, said("old"))

        await service.delete_session(user, "s1")

        assert await service.get_session(user, "s1") is None
        assert await service.list_sessions(user) == []
        with pytest.raises(NotFound):
            await service.append_message(session, said("late"))
        assert texts(session) == ["old"]
        assert (await service.create_session(user, "s1")).messages == []
        assert texts(await service.get_session(user, "s1")) == []

    async def test_deleting_what_is_not_there_is_no_error(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Neither a session that never was nor one that is deleted already raises anything."""
        session = await service.create_session(user)

        await service.delete_session(user, "non_existent_id")
        await service.delete_session(user, session.id)
        await service.delete_session(user, session.id)

        assert await service.get_session(user, session.id) is None


class TestAppending:
    """Messages come in, and come back as they were."""

    async def test_what_is_no_message_is_refused(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """One wrong item refuses the whole list, says which it is, and changes nothing."""
        session = await service.create_session(user)

        for wrong in WRONG:
            with pytest.raises(UnprocessableInput, match=r"messages\[1\]"):
                await service.append_message(session, [said("fine"), wrong])

        assert session.messages == []
        assert await service.get_session(user, session.id) == session

    async def test_all_forms_and_a_mixed_list(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Messages, dicts, foreign objects and a list of all go to the end, in order."""
        session = await service.create_session(user)

        await service.append_message(session, said("one"))
        await service.append_message(session, {"role": "user", "content": "two"})
        await service.append_message(session, [])
        await service.append_message(
            session,
            [
                {"role": "user", "content": [{"type": "text", "text": "three"}]},
                ForeignMessage(),
                {"role": "user", "content": [TextContent(text="five"), "six"]},
            ],
        )

        assert texts(session) == ["one", "two", "three", "foreign", "fivesix"]
        assert await service.get_session(user, session.id) == session
        foreign = session.messages[3].model_dump()
        assert (foreign["role"], foreign["status"]) == ("assistant", "completed")

    async def test_nothing_of_a_message_is_lost(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Every field of every kind of part comes back, in the session and from the store.

        Half an emoji comes as U+FFFD from what answers over HTTP: strict readers take nothing else.
        """
        session = await service.create_session(user)

        for given in ODD:
            await service.append_message(session, given)

        assert as_given(session) == ODD
        told = as_given(await service.get_session(user, session.id))
        is_http = isinstance(service, HttpSessionHistoryService)
        assert told == (
            [jsontext.loads(jsontext.dumps_readable(one)) for one in ODD] if is_http else ODD
        )

    async def test_a_thousand_and_more_at_once(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """A list longer than any page is stored and read back whole and in order."""
        session = await service.create_session(user)

        await service.append_message(session, [said(str(number)) for number in range(2001)])

        read = await service.get_session(user, session.id)
        assert texts(read) == texts(session) == [str(number) for number in range(2001)]


class TestCopies:
    """What is returned and what was given can be changed without harm."""

    async def test_returned_sessions_are_copies(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """To change what any method returned changes nothing that is kept."""
        created = await service.create_session(user, "s1")
        await service.append_message(created, said("hello"))
        for returned in (created, await service.get_session(user, "s1")):
            assert returned is not None
            returned.messages[0].role = "system"
            returned.messages.append(said("smuggled"))
        (await service.list_sessions(user))[0].id = "renamed"

        kept = await service.get_session(user, "s1")

        assert texts(kept) == ["hello"]
        assert kept is not None
        assert kept.messages[0].role == Role.USER

    async def test_given_messages_are_copied(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """To change a message after it was appended changes neither the store nor the session."""
        session = await service.create_session(user, "s1")
        part: dict[str, Any] = {"type": "data", "data": {"n": 1}}
        given = {"role": "user", "content": [part]}
        message = said("hello")
        await service.append_message(session, [given, message])

        part["data"]["n"] = 2
        message.role = "system"

        kept = await service.get_session(user, "s1")
        assert kept == session
        assert kept is not None
        assert kept.messages[0].model_dump()["content"] == [{"type": "data", "data": {"n": 1}}]
        assert kept.messages[1].role == Role.USER


class TestListing:
    """The sessions of a user."""

    async def test_lists_have_no_messages(self, service: SessionHistoryService, user: str) -> None:
        """All sessions of the user and no other's, the newest activity first, without messages."""
        first = await service.create_session(user, "first")
        second = await service.create_session(user, "second")
        await service.create_session(f"{user}-other", "third")
        await service.append_message(second, said("hello"))
        await service.append_message(first, said("hello"))

        listed = await service.list_sessions(user)

        assert [one.id for one in listed] == ["first", "second"]
        assert [one.messages for one in listed] == [[], []]
        assert await service.list_sessions(str(uuid4())) == []


class TestLifecycle:
    """Start, stop and how one knows."""

    async def test_a_context_starts_and_stops(self, new_service: NewService, user: str) -> None:
        """Inside `async with` the service is healthy, after it it is not, and nothing is lost."""
        service = new_service()
        async with service as entered:
            assert entered is service
            assert await service.health()
            session = await service.create_session(user, "s1")
            await service.append_message(session, said("hello"))

        assert not await service.health()
        await service.stop()
        async with service:
            assert texts(await service.get_session(user, "s1")) == ["hello"]

    async def test_use_after_a_stop_is_a_start(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Stopped, a service is not healthy until it is used again."""
        await service.create_session(user, "s1")
        await service.stop()
        assert not await service.health()

        assert [one.id for one in await service.list_sessions(user)] == ["s1"]

        assert await service.health()

    async def test_starting_is_optional_and_may_be_repeated(
        self, service: SessionHistoryService, user: str
    ) -> None:
        """Before any start the service works; a second start changes nothing."""
        assert await service.health()
        await service.create_session(user, "s1")

        await service.start()
        await service.start()

        assert [one.id for one in await service.list_sessions(user)] == ["s1"]
