channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "p" {
  from = channel.telemetry

  rule "plausible" {
    where = temp > -60
  }
  alarm "hot" {
    from = rule.plausble # ERROR: Did you mean rule.plausible?
    by   = [device]
    when = temp > 3
    for  = "5x" # ERROR: unknown unit
  }
  window "tumbling" "hots" {
    from  = alarm.hot
    every = 5 # ERROR: every takes a duration
    emit  = { n = count() }
  }
  sink "file" "out" { # ERROR: The argument "path" is required
    from = window.hots
    pth  = "out.ndjson" # ERROR: Did you mean "path"?
  }
  sink "file" "off" {
    enabled = false
    from    = alarm.hott # ERROR: Did you mean alarm.hot?
    pth     = "out.ndjson"
  }
}

pipeline "q" {
  from = channel.telemtry # ERROR: Did you mean channel.telemetry?
  alarm "hot" {
    when   = temp > 3
    absent = "a while" # ERROR: absent
  }
}
