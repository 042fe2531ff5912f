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

  rule "a" {
    where = temp > 3
  }
  rule "a" { # ERROR: rule.a stands already
    where = temp > 4
  }
}

channel "telemetry" { # ERROR: channel.telemetry stands already on line 1.
}
pipeline "p" { # ERROR: pipeline.p stands already
  from = channel.telemetry
}
ingest "file" "input" { # ERROR: ingest.input stands already
  to   = channel.telemetry
  path = "b.ndjson"
}
