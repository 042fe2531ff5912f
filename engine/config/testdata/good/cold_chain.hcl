engine {
  checkpoint = "100ms"
  tasks      = 2
}

variable "influx_url" {
  default = ""
}
variable "given" {
  sensitive = true
}

channel "telemetry" {
  key          = device
  time         = ts
  retention    = "1w2d"
  retain_bytes = "10GB"
  partitions   = 8
  schema = {
    ts     = timestamp
    sent   = timestamp("ms")
    device = string
    temp   = number
    n      = integer
    ok     = bool
    tags   = list(string)
    gps    = { lat = number, pos = { lon = number } }
  }
}
channel "bundles" {
  explode = data.readings
  schema = {
    id = string
    data = {
      readings = list({ v = number, at = timestamp("s") })
    }
  }
}
channel "scalars" {
  key     = id
  explode = values
  schema  = { id = string, values = list(number) }
}
channel "learned" {
  time = parse_time(when, "%d/%m/%Y")
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "x.ndjson"
}

pipeline "cold_chain" {
  from    = channel.telemetry
  rejects = sink.quarantine

  sink "stdout" "hot" {
    from    = [rule.plausible, window.five_min]
    enabled = var.influx_url != ""
  }
  window "tumbling" "five_min" {
    from  = rule.plausible
    every = "5m"
  }
  rule "plausible" {
    where = temp > -60
  }
  alarm "too_warm" {
    for  = "5m"
    when = temp > 3
  }
  sink "file" "quarantine" { path = "rejects.ndjson" }
}
