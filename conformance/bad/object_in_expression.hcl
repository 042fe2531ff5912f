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
    where = { a = temp } == 3 # ERROR: Found { ... } where a value is wanted
  }
  rule "r1" {
    where = [temp] == 3 # ERROR: == compares values of one type; found `[temp]`, a list, and `3`, an
  }
}
