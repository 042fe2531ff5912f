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
  sink "stdout" "s" {
    from = rule.plausibel # ERROR: Did you mean rule.plausible?
  }
  sink "stdout" "t" {
    from = plausible # ERROR: Did you mean rule.plausible?
  }
  sink "stdout" "u" {
    from = rules.plausible # ERROR: Did you mean rule.plausible?
  }
  sink "stdout" "v" {
    from = window.plausible # ERROR: Did you mean rule.plausible?
  }
}
