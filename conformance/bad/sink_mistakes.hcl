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

  sink "file" "a" { # ERROR: The argument "path" is required
  }
  sink "fil" "b" { # ERROR: file
    path = "x"
  }
  sink "file" "c" {
    path   = "x.ndjson"
    format = "xml" # ERROR: xml
  }
  sink "file" "d" {
    path = 7 # ERROR: path takes a string
  }
  sink "file" "e" { # ERROR: The argument "path" is required
    pth = "x" # ERROR: Did you mean "path"?
  }
  sink "stdout" "f" {
    path = "x" # ERROR: "path" is not expected here
  }
}
