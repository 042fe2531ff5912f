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

  alarm "a" { # ERROR: Write when = ... for a condition
    by = [device]
  }
  alarm "b" {
    by   = [device]
    when = temp # ERROR: bool
  }
  alarm "c" {
    by   = [device]
    when = temp > 3
    for  = 5 # ERROR: for takes a duration in double quotes with its unit
  }
  alarm "d" {
    by       = [device]
    when     = temp > 3
    severity = 3 # ERROR: severity takes a string
  }
  alarm "e" {
    by    = [device]
    when  = temp > 3
    clear = tmep < 2 # ERROR: Did you mean temp?
  }
  alarm "f" {
    by   = [device]
    when = avg(temp) > 3 # ERROR: window
  }
  alarm "g" {
    by     = [device]
    when   = temp > 3
    absent = "10m" # ERROR: when and absent together
  }
  alarm "h" {
    by     = [device]
    absent = "10m"
    for    = "5m" # ERROR: for belongs to a condition
  }
  alarm "i" {
    by   = [devcie] # ERROR: Did you mean device?
    when = temp > 3
    with = [tmep] # ERROR: Did you mean temp?
  }
  alarm "j" {
    by   = [site]
    when = temp > 3
  }
  alarm "k" {
    by     = [device]
    absent = "ten minutes" # ERROR: is not a duration
  }
  alarm "l" {
    by        = [device, stie] # ERROR: Did you mean site?
    when      = tmep > 3       # ERROR: Did you mean temp?
    for       = "-5m"          # ERROR: a duration cannot be
    clear     = temp + "a"     # ERROR: number
    clear_for = 3              # ERROR: clear_for takes a duration
    with      = [severiti]     # ERROR: severiti
    severty   = "info"         # ERROR: Did you mean "severity"
  }
  window "tumbling" "m" {
    by    = [device]
    every = "five minutes"                  # ERROR: is not a duration
    emit  = { a = avg(tmep), b = max(temp) } # ERROR: Did you mean temp?
  }
}
