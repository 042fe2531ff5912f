# Three gateways with sensors for carbon monoxide, liquefied gas, smoke,
# temperature, humidity, light and motion: a day of July 2020. Readings are
# members of an object, and the time is in seconds with a fraction.

channel "gateways" {
  key  = device
  time = ts
  schema = {
    device    = string
    device_id = string
    ts        = timestamp("s")
    data = {
      co       = number
      humidity = number # per cent
      light    = bool
      lpg      = number
      motion   = bool
      smoke    = number
      temp     = number # degrees Celsius
    }
  }
}

ingest "file" "gateways" {
  to   = channel.gateways
  path = "raw_data_large.json"
}

pipeline "gateways" {
  from = channel.gateways

  rule "plausible" {
    where = data.humidity >= 0 && data.humidity <= 100 && data.temp > -40
    set   = { fahrenheit = data.temp * 1.8 + 32 }
  }

  window "tumbling" "ten_min" {
    from  = rule.plausible
    by    = [device]
    every = "10m"
    emit = {
      temp_avg     = avg(data.temp)
      temp_max     = max(data.temp)
      humidity_min = min(data.humidity)
      humidity_max = max(data.humidity)
      co_avg       = avg(data.co)
      smoke_stddev = stddev(data.smoke)
      light_last   = last(data.light)
      n            = count()
    }
  }

  alarm "smoke" {
    from     = rule.plausible
    by       = [device]
    when     = data.smoke > 0.025
    for      = "1m"
    severity = "critical"
    with     = [data.smoke, data.co]
  }

  sink "file" "ten_min" {
    from = window.ten_min
    path = "${var.out}/gateways_ten_min.ndjson"
  }

  sink "file" "alarms" {
    from = alarm.smoke
    path = "${var.out}/gateways_alarms.ndjson"
  }

  # For Grafana: nothing runs here while influx_url is empty.
  sink "influxdb" "hot" {
    from    = [rule.plausible, window.ten_min, alarm.smoke]
    url     = var.influx_url
    org     = var.influx_org
    bucket  = var.influx_bucket
    token   = var.influx_token
    enabled = var.influx_url != ""
  }
}
