# Saves the call log as one JSON file.
Invoke-RestMethod http://localhost:8000/history | ConvertTo-Json -Depth 10 | Out-File -FilePath .\history.json -Encoding UTF8
