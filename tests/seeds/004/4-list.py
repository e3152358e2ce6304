# Lists a user's sessions, without what was said.

import asyncio
from agentscope_runtime.engine.services.session_history import InMemorySessionHistoryService

async def main():
    session_history_service = InMemorySessionHistoryService()
    await session_history_service.start()

    user_id = "u_list"
    session1 = await session_history_service.create_session(user_id)
    session2 = await session_history_service.create_session(user_id)

    listed_sessions = await session_history_service.list_sessions(user_id)
    assert len(listed_sessions) >= 2

    for s in listed_sessions:
        assert s.messages == [], "History should be empty in list view"

    await session_history_service.stop()

await main()
