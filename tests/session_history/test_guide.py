"""The guide that agents' authors were given, example by example, on every kind of service."""

from tests.session_history.conftest import NewService

from officeai_proxy.session_history import Message, Role, Session, TextContent


def test_a_session_object() -> None:
    """A session is made of an id, a user and messages with roles and text parts."""
    session = Session(
        id="session_123",
        user_id="user_456",
        messages=[
            Message(role=Role.USER, content=[TextContent(type="text", text="Hello")]),
            Message(role=Role.ASSISTANT, content=[TextContent(type="text", text="Hi there!")]),
        ],
    )

    assert (session.id, session.user_id, len(session.messages)) == ("session_123", "user_456", 2)
    assert session.model_dump(mode="json")["messages"][0] == {
        "role": "user",
        "content": [{"type": "text", "text": "Hello"}],
    }


async def test_the_examples_from_create_to_delete(new_service: NewService, user: str) -> None:
    """Create with and without an id, append one and a mixed list, list, get, delete: in order."""
    service = new_service(create_missing=True)
    await service.start()
    session = await service.create_session(user)
    assert (session.user_id, session.messages) == (user, [])
    custom = await service.create_session(user, session_id="my_custom_session_id")
    assert custom.id == "my_custom_session_id"
    assert await service.get_session(user, "s1") is not None

    message1 = Message(role="user", content=[TextContent(type="text", text="Hello, world!")])
    await service.append_message(session, message1)
    assert len(session.messages) == 1
    messages3 = [
        {"role": "user", "content": [{"type": "text", "text": "How are you?"}]},
        Message(role="assistant", content=[TextContent(type="text", text="I am fine, thank you.")]),
    ]
    await service.append_message(session, messages3)
    assert len(session.messages) == 3

    listed = await service.list_sessions(user)
    assert len(listed) >= 2
    for one in listed:
        assert one.messages == [], "History should be empty in list view"

    assert await service.get_session(user, session.id) is not None
    await service.delete_session(user, session.id)
    assert await service.get_session(user, session.id) is None
    await service.delete_session(user, "non_existent_id")
    assert await service.health()
    await service.stop()
