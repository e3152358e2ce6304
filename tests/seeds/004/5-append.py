# Appends a message, and a list of a message and a dict.

import asyncio
from agentscope_runtime.engine.services.session_history import InMemorySessionHistoryService
from agentscope_runtime.engine.schemas.agent_schemas import Message, TextContent

async def main():
    session_history_service = InMemorySessionHistoryService()
    await session_history_service.start()

    user_id = "u_append"
    session = await session_history_service.create_session(user_id)

    message1 = Message(role="user", content=[TextContent(type="text", text="Hello, world!")])
    await session_history_service.append_message(session, message1)

    assert len(session.messages) == 1

    messages3 = [
        {"role": "user", "content": [{"type": "text", "text": "How are you?"}]},
        Message(role="assistant", content=[TextContent(type="text", text="I am fine, thank you.")]),
    ]
    await session_history_service.append_message(session, messages3)

    assert len(session.messages) == 3

    await session_history_service.stop()

await main()
