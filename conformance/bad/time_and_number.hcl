channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number, setpoint = number, door_open = bool, n = integer, site = string, tags = list(string) }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "p" {
  from = channel.telemetry

  rule "r0" {
    where = ts > 5 # ERROR: > compares values of one type; found `ts`, a timestamp, and `5`, an
  }
  rule "r1" {
    where = ts + 5 > ts
  }
  rule "r2" {
    where = ts - ts > 5
  }
  rule "r3" {
    where = ts > "2026-01-01"
  }
  rule "r4" {
    where = year(temp) > 3 # ERROR: Argument 1 must be a timestamp; found `temp`, a number
  }
}
