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
    enabled = false
    where   = temp > 3
  }
  sink "stdout" "s" {
    from = rule.a # ERROR: rule.a has enabled = false
  }
  sink "stdout" "t" {
    enabled = "no" # ERROR: enabled takes a bool
  }
  sink "stdout" "u" {
    enabled = temp > 3 # ERROR: this argument is read before any data flows
  }
}
