# The routes that were proposed there: one session, all of them, and an archive of all.
curl "http://localhost:8000/session/history?session_id=session_abc" -o one.json
curl "http://localhost:8000/session/history/all" -o all.json
curl "http://localhost:8000/session/history/export?format=zip" -o all.zip
