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
    set = { over = tmep - setpoint } # ERROR: Did you mean temp?
  }
  rule "s" {
    set = { a = 1, a = 2 } # ERROR: "a" stands already
  }
  rule "t" {
    set = { gps.lat = temp } # ERROR: gps
  }
  rule "u" {
    set = [temp] # ERROR: set
  }
  rule "v" {
    set = { _time = ts } # ERROR: Names that begin with _ belong to the engine.
  }
}
