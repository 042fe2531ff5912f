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
    select = [device, tmep] # ERROR: Did you mean temp?
  }
  rule "s" {
    select = ["device"] # ERROR: quotes
  }
  rule "t" {
    remove = [nothing] # ERROR: nothing
  }
  rule "u" {
    rename = { celsius = tmep } # ERROR: Did you mean temp?
  }
  rule "v" {
    rename = { device = site } # ERROR: device
  }
  rule "w" {
    select = [device]
    remove = [site] # ERROR: select
  }
}
