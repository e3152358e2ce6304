# Gets a session that nobody has begun.

import asyncio
from agentscope_runtime.engine.services.session_history import InMemorySessionHistoryService

async def main():
    session_history_service = InMemorySessionHistoryService()
    await session_history_service.start()

    user_id = "u1"
    retrieved_session = await session_history_service.get_session(user_id, "s1")
    assert retrieved_session is not None

    await session_history_service.stop()

await main()
