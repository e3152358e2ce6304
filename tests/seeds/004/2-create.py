# Begins a session without an id, and one with an id.

import asyncio
from agentscope_runtime.engine.services.session_history import InMemorySessionHistoryService

async def main():
    session_history_service = InMemorySessionHistoryService()
    await session_history_service.start()

    user_id = "test_user"
    session = await session_history_service.create_session(user_id)
    print(f"Created session: {session.id}")
    print(f"User ID: {session.user_id}")
    print(f"Messages count: {len(session.messages)}")

    custom_session = await session_history_service.create_session(
        user_id,
        session_id="my_custom_session_id",
    )
    print(f"Custom session ID: {custom_session.id}")

    await session_history_service.stop()

await main()
