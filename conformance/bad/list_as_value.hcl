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
    where = tags == "x" # ERROR: == compares values of one type; found `tags`, a list(string), and
  }
  rule "r1" {
    where = tags > 3 # ERROR: > compares values of one type; found `tags`, a list(string), and `3`,
  }
  rule "r2" {
    where = length(temp) > 3 # ERROR: Argument 1 must be a string or a list; found `temp`, a number
  }
  rule "r3" {
    where = contains(site, tags) # ERROR: Argument 2 must be a string; found `tags`, a list(string). It is
  }
  rule "r4" {
    where = tags["a"] == "x" # ERROR: `tags`, a list(string) has no member ["a"].
  }
}
