channel "telemetry" { # ERROR: stands already on
}
pipeline "q" {
  from = channel.telemetri # ERROR: Did you mean channel.telemetry?
}
