# One long conversation as a table; it needed memory for all of it once.
curl -o chat_history.csv "http://localhost:5010/api/conversations/4b8892e1-6297-4d10-9085-b569beec34b8/export?format=csv"
