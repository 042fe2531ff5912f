# Pipelines that feed channels, and what cannot be.

channel "telemetry" {
  key    = device
  schema = { device = string, temp = number }
}
channel "minutes" { key = device }
channel "round" {}
channel "mixed" {}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}
ingest "file" "other" {
  to   = channel.mixed # ERROR: Pipelines feed channel.mixed, and an ingest feeds it too
  path = "other.ndjson"
}

pipeline "a" {
  from = channel.telemetry
  window "tumbling" "minute" {
    by    = [device]
    every = "1m"
    emit  = { n = count() }
  }
  sink "channel" "minutes" {
    from = window.minute
    to   = channel.minutes
  }
  sink "channel" "mixed" {
    from = window.minute
    to   = channel.mixed
  }
  sink "channel" "nowhere" {
    from = window.minute
    to   = channel.minute # ERROR: Did you mean channel.minutes?
  }
  sink "channel" "untold" { # ERROR: to = channel.NAME
    from = window.minute
  }
  rejects = sink.minutes # ERROR: Rejects go to a sink such as
}

pipeline "b" {
  from = channel.minutes
  window "tumbling" "hour" { # ERROR: it is not said which of them count
    from  = channel.minutes
    by    = [device]
    every = "1h"
    emit  = { n = sum(n) }
  }
}

pipeline "c" {
  from = channel.round
  sink "channel" "again" {
    from = channel.round
    to   = channel.round # ERROR: Rows would go round for ever
  }
}
