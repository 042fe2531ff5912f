engine {
  checkpoint = "20ms"
  tick       = "100ms"
}

channel "telemetry" {
  key   = device
  time  = ts
  ahead = "30000d"
  schema = {
    device = string, ts = timestamp, site = string, lat = number, lon = number, speed = number, temp = number,
    setpoint = number, ambient = number, door_open = bool, fuel = number, battery = number, seq = integer
  }
}

ingest "file" "trailers" {
  to     = channel.telemetry
  path   = "input.ndjson"
  follow = true
}

pipeline "cold_chain" {
  from = channel.telemetry

  rule "plausible" {
    where = temp > -60 && temp < 80
    set   = { over = temp - setpoint }
  }

  sink "parquet" "local" {
    from         = rule.plausible
    path         = "lake"
    partition_by = [site, day(ts)]
    roll_rows    = ROLL
    roll_age     = "200ms"
    compact      = 3
    grace        = "1s"
  }

  sink "parquet" "remote" {
    from         = rule.plausible
    path         = "s3://lake/PREFIX"
    partition_by = [day(ts)]
    roll_rows    = ROLL
    roll_age     = "200ms"
    compact      = 3
    grace        = "1s"
    endpoint     = "URL"
    access_key   = "tidemill"
    secret_key   = "tidemill-secret"
  }
}
