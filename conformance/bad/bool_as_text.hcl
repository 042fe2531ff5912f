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
    where = door_open == "true" # ERROR: == compares values of one type; found `door_open`, a bool, and
  }
  rule "r1" {
    where = door_open == 1 # ERROR: == compares values of one type; found `door_open`, a bool, and `1`,
  }
  rule "r2" {
    where = door_open > false # ERROR: > needs numbers, strings or timestamps; found `door_open`, a bool,
  }
  rule "r3" {
    where = !site # ERROR: What ! negates must be a bool; found `site`, a string.
  }
}
