# Trailers that carry frozen and chilled goods. Each sends position, speed,
# temperatures, door, fuel and battery every 30 seconds.

channel "telemetry" {
  key       = device
  time      = ts
  retention = "7d"

  # What a trailer sends again, since it did not hear that it had arrived, counts once.
  dedupe = { key = [device, seq], within = "24h", max = 65536 }

  schema = {
    device    = string
    ts        = timestamp
    site      = string
    lat       = number
    lon       = number
    speed     = number # km/h
    temp      = number # of the cargo, degrees Celsius
    setpoint  = number
    ambient   = number
    door_open = bool
    fuel      = number # per cent
    battery   = number # V
    seq       = integer
  }
}

# The trailers publish by themselves. Where var.input names a file, that is read instead.
ingest "mqtt" "trailers" {
  enabled = var.input == ""
  to      = channel.telemetry
  listen  = var.listen
  topic   = "dt/{site}/{asset_type}/{device}/telemetry"
}

ingest "file" "recorded" {
  enabled = var.input != ""
  to      = channel.telemetry
  path    = var.input != "" ? var.input : "none"
  follow  = var.follow
}

pipeline "cold_chain" {
  from = channel.telemetry

  # What a probe says when it is broken is no temperature.
  rule "plausible" {
    where = temp > -60 && temp < 80
    set   = { over = temp - setpoint }
  }

  # Five-minute averages per trailer, each as soon as that trailer's own clock
  # has passed the window's end: a trailer that was offline loses nothing.
  window "tumbling" "five_min" {
    from  = rule.plausible
    by    = [device]
    every = "5m"
    emit = {
      site        = last(site)
      temp_avg    = avg(temp)
      temp_min    = min(temp)
      temp_max    = max(temp)
      over_max    = max(over)
      ambient_avg = avg(ambient)
      speed_avg   = avg(speed)
      fuel_last   = last(fuel)
      n           = count()
    }
  }

  alarm "too_warm" {
    from     = rule.plausible
    by       = [device]
    when     = temp > setpoint + 3
    for      = "5m"
    severity = "critical"
    with     = [site, temp, setpoint]
  }

  # When a compressor stands still the cargo drifts from its setpoint: cumulative sums of five-minute
  # values find that before it is too warm. A model is 2.6 kB a trailer.
  anomaly "changepoint" "compressor" {
    from      = window.five_min
    by        = [device]
    on        = [over_max]
    threshold = 2.6 # where all works, one alert a trailer and month
    quiet     = 24  # two hours
  }

  alarm "compressor" {
    from      = anomaly.compressor
    by        = [device]
    when      = grade > 0
    clear_for = "2h"
    severity  = "warning"
    with      = [over_max, score, expected]
  }

  alarm "door_open_moving" {
    from     = rule.plausible
    by       = [device]
    when     = door_open && speed > 5
    severity = "warning"
    with     = [site, speed, lat, lon]
  }

  sink "file" "averages" {
    from = window.five_min
    path = "${var.out}/averages.ndjson"
  }

  # The lake: tidemill query pipelines/coldhaul "select ..."
  sink "parquet" "lake" {
    from         = window.five_min
    path         = "${var.out}/lake"
    table        = "averages"
    partition_by = [day(window_start)]
    roll_age     = "1m"
    units        = { temp_avg = "celsius", temp_max = "celsius", speed_avg = "km/h" }
  }

  sink "file" "alarms" {
    from = [alarm.too_warm, alarm.compressor, alarm.door_open_moving]
    path = "${var.out}/alarms.ndjson"
  }

  # To whoever has subscribed: mosquitto_sub -t 'alarms/#'
  sink "mqtt" "dispatch" {
    enabled = var.input == ""
    from    = [alarm.too_warm, alarm.compressor, alarm.door_open_moving]
    topic   = "alarms/${device}"
  }

  # One trailer's averages, to look at.
  rule "watched" {
    from  = window.five_min
    where = device == var.watch
  }

  # For Grafana: nothing runs here while influx_url is empty.
  sink "influxdb" "hot" {
    from    = [rule.plausible, window.five_min, alarm.too_warm, alarm.door_open_moving]
    url     = var.influx_url
    org     = var.influx_org
    bucket  = var.influx_bucket
    token   = var.influx_token
    enabled = var.influx_url != ""
  }

  sink "stdout" "show" {
    from   = [rule.watched, alarm.too_warm]
    format = "table"
  }

  sink "file" "rejects" {
    path = "${var.out}/rejects.ndjson"
  }
  rejects = sink.rejects
}
