# The same as JSON; it was an error 500 once.
curl -o chat_history.json "http://localhost:5010/api/conversations/4b8892e1-6297-4d10-9085-b569beec34b8/export?format=json"
