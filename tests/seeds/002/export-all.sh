# Everything as one table; it failed in the middle once.
curl -o output.csv "http://localhost:5010/api/conversations/export-all?format=csv"
