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
    where = trunc(ts, "5 min") > ts # ERROR: A length of time is a whole number and one of us, ms, s, m, h, d, or
  }
  rule "r1" {
    where = duration("5 minutes") > 3 # ERROR: A length of time is a whole number and one of us, ms, s, m, h, d, or
  }
  rule "r2" {
    where = ts - "5m" > ts # ERROR: There is timestamp - timestamp, which gives seconds, and timestamp +
  }
}
