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
    where = n == "7" # ERROR: == compares values of one type; found `n`, an integer, and `"7"`, a
  }
  rule "r1" {
    where = n % device == 0 # ERROR: % takes numbers; found `n`, an integer, and `device`, a string
  }
  rule "r2" {
    where = n / 0 > 1 # WARNING: A division by zero is always null.
  }
}
