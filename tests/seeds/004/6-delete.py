# Deletes a session, and one that never was.

import asyncio
from agentscope_runtime.engine.services.session_history import InMemorySessionHistoryService

async def main():
    session_history_service = InMemorySessionHistoryService()
    await session_history_service.start()

    user_id = "test_user"
    session_to_delete = await session_history_service.create_session(user_id)
    session_id = session_to_delete.id

    assert await session_history_service.get_session(user_id, session_id) is not None

    await session_history_service.delete_session(user_id, session_id)

    assert await session_history_service.get_session(user_id, session_id) is None

    await session_history_service.delete_session(user_id, "non_existent_id")

    await session_history_service.stop()

await main()
