engine {
  checkpoint = "20ms"
  tick       = "100ms"
}

variable "follow" {
  default = false
}

variable "path" {
  default = "lake"
}

variable "endpoint" {
  default = ""
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
  follow = var.follow
}

pipeline "cold_chain" {
  from = channel.telemetry

  rule "plausible" {
    where = temp > -60 && temp < 80
    set   = { over = temp - setpoint }
  }

  window "tumbling" "five_min" {
    from  = rule.plausible
    by    = [device]
    every = "5m"
    emit  = { temp_avg = avg(temp), n = count() }
  }

  sink "parquet" "readings" {
    from         = rule.plausible
    path         = var.path
    endpoint     = var.endpoint
    access_key   = var.endpoint == "" ? "" : "tidemill"
    secret_key   = var.endpoint == "" ? "" : "tidemill-secret"
    partition_by = [site, day(ts)]
    roll_rows    = 2000
    roll_age     = "200ms"
    compact      = 3
    grace        = "5s"
    units        = { temp = "celsius" }
  }

  sink "parquet" "averages" {
    from     = window.five_min
    path     = "averages"
    roll_age = "200ms"
  }
}
