channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number, setpoint = number, door_open = bool, n = integer, site = string, tags = list(string) }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

ingest "file" "a" { # ERROR: An ingest says which channel it feeds: to = channel.telemetry
  path = "x.ndjson"
}
ingest "file" "b" {
  to   = pipeline.p # ERROR: There is nothing of kind "pipeline".
  path = "x.ndjson"
}
ingest "fiel" "c" { # ERROR: file
  to   = channel.telemetry
  path = "x.ndjson"
}
ingest "file" "d" { # ERROR: The argument "path" is required
  to = channel.telemetry
}
ingest "file" "e" {
  to     = channel.telemetry
  path   = "x.csv"
  format = "cvs" # ERROR: csv
}
ingest "file" "f" {
  from = channel.telemetry # ERROR: An ingest reads from the world
  to   = channel.telemetry
  path = "x.ndjson"
}
pipeline "p" {
  from = channel.telemetry
}
