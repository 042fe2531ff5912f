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

  rule "plausible" {
    where = temp > 3
  }
}

pipeline "q" {
  from = channel.telemetry

  sink "stdout" "s" {
    from = rule.plausible # ERROR: There is no rule.plausible.
  }
}
