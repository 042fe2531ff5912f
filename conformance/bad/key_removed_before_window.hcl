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
    remove = [device]
  }
  window "tumbling" "w" {
    from  = rule.r
    by    = [site]
    every = "5m"
    emit  = { n = count() }
  }
  rule "s" {
    rename = { trailer = device }
  }
  window "tumbling" "v" {
    from  = rule.s
    by    = [device] # ERROR: There is no column "device" in rule.s
    every = "5m"
    emit  = { n = count() }
  }
}
