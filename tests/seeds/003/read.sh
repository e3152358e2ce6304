# The messages of a session, oldest first.
curl "http://localhost:8000/api/v1/chat/history?session_id=session_abc&limit=200"
