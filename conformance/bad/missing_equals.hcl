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

  window "tumbling" "w" {
    every "5m" # ERROR: To set an argument, write every = "5m"
    by [device] # ERROR: To set an argument, write by = [device]
    emit: { n = count() } # ERROR: An argument is set by an equals sign, not a colon: emit = ...
  }
}
