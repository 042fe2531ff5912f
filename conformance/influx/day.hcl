channel "telemetry" {
  key  = device
  time = ts
  schema = {
    device = string, ts = timestamp, site = string, lat = number, lon = number, speed = number, temp = number,
    setpoint = number, ambient = number, door_open = bool, fuel = number, battery = number, seq = integer
  }
}

ingest "file" "trailers" {
  to   = channel.telemetry
  path = "trailers.ndjson"
}

pipeline "cold_chain" {
  from = channel.telemetry

  rule "plausible" {
    where = temp > -60 && temp < 80
  }

  sink "parquet" "lake" {
    from         = rule.plausible
    path         = "lake"
    partition_by = [site, day(ts)]
    roll_rows    = 500000
  }

  sink "influxdb" "hot" {
    from   = rule.plausible
    url    = "URL"
    bucket = "DATABASE/autogen"
    token  = "TOKEN"
    tags   = [device, site]
  }
}
