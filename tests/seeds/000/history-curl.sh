# The same with the curl of Windows.
curl.exe http://localhost:8000/history -o history.json
