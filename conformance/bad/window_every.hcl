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

  window "tumbling" "w0" {
    by    = [device]
    every = 300 # ERROR: every takes a duration in double quotes with its unit
    emit  = { n = count() }
  }
  window "tumbling" "w1" {
    by    = [device]
    every = "5 minutes" # ERROR: did you mean m?
    emit  = { n = count() }
  }
  window "tumbling" "w2" {
    by    = [device]
    every = "300" # ERROR: has no unit
    emit  = { n = count() }
  }
  window "tumbling" "w3" {
    by    = [device]
    every = "0s" # ERROR: a window is at least 1ms long
    emit  = { n = count() }
  }
  window "tumbling" "w4" {
    by    = [device]
    every = "-5m" # ERROR: negative
    emit  = { n = count() }
  }
}
