engine {
  checkpoint = "200ms"
}

channel "telemetry" {
  key        = device
  time       = ts
  partitions = 4
  schema     = { device = string, ts = timestamp, temp = number }
}

ingest "file" "in" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "p" {
  from = channel.telemetry

  window "tumbling" "two_hours" {
    by    = [device]
    every = "2h"
    keep  = "25h"
    emit  = { low = min(temp), high = max(temp), mean = avg(temp), n = count() }
  }

  sink "parquet" "lake" {
    from         = window.two_hours
    path         = "lake"
    partition_by = [day(window_start)]
  }

  sink "influxdb" "hot" {
    from   = window.two_hours
    url    = "URL"
    bucket = "DATABASE/autogen"
    token  = "TOKEN"
    tags   = [device]
  }
}
