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
    where = power(temp, 2) > 3 # ERROR: pow
  }
  rule "r1" {
    where = len(tags) > 0 # ERROR: length
  }
  rule "r2" {
    where = if(door_open, 1, 2) == 1 # ERROR: ?
  }
  rule "r3" {
    where = now() > ts # ERROR: now
  }
}
