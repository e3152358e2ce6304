# Saves the call log as a flat table; what is nested becomes JSON in a cell.
$data = (Invoke-RestMethod http://localhost:8000/history).history
$flat = $data | ForEach-Object {
  [PSCustomObject]@{
    time = $_.time
    api = $_.api
    service_name = $_.service_name
    service_type = $_.service_type
    method = $_.method
    status_code = $_.result.status_code
    params_json = ($_ | ConvertTo-Json -Depth 10)
    result_json = ($_.result | ConvertTo-Json -Depth 10)
  }
}
$flat | Export-Csv -Path .\history.csv -NoTypeInformation -Encoding UTF8
