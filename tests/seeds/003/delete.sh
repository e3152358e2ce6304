# Deletes what a session has said.
curl -X DELETE "http://localhost:8000/api/v1/chat/history?session_id=session_abc"
