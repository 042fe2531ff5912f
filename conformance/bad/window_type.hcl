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

  window "tumblng" "w" { # ERROR: tumbling
    every = "5m"
  }
  window "w2" { # ERROR: window takes two labels
    every = "5m"
  }
}
