channel "telemetry" {
  key    = device
  time   = ms # ERROR: time_from(ms, "ms")
  schema = { device = string, ms = integer }
}

channel "days" {
  key    = device
  time   = day # ERROR: parse_time(day,
  schema = { device = string, day = string }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

test "misplaced" { # ERROR: .test.hcl
}
