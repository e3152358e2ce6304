# Starts, asks for health, stops.

await session_history_service.start()

is_healthy = await session_history_service.health()

await session_history_service.stop()
