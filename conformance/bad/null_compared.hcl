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
    where = temp > null # ERROR: > with null is always null
  }
  rule "r1" {
    where = temp != nil # ERROR: What is not there is null: x == null.
  }
}
