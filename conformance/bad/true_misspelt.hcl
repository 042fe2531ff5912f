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
    where = door_open == True # ERROR: True is written in small letters: true.
  }
  rule "r1" {
    where = door_open == yes # ERROR: There is no column "yes" in channel.telemetry
  }
  rule "r2" {
    where = TRUE # ERROR: TRUE is written in small letters: true.
  }
}
