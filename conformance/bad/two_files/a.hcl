channel "telemetry" {
  key = device
}
pipeline "p" {
  from = channel.telemetry

  rule "a" {
    where = site == 'x' # ERROR: Single quotes are not valid.
  }
}
