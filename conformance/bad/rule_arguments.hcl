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

  rule "r" {
    were = temp > 3 # ERROR: Did you mean "where"?
  }
  rule "s" {
    when = temp > 3 # ERROR: "set", "where".
  }
  rule "t" {
    where { # ERROR: where is an argument: write where = ... with an equals sign.
    }
  }
}
