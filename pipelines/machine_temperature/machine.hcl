# The temperature of a component of a large industrial machine, a reading every
# five minutes from December 2013 to February 2014. It failed: the series ends
# with a catastrophic failure, and a planned stop and an early sign come before.

channel "machine" {
  time = timestamp
  schema = {
    timestamp = timestamp
    value     = number # degrees Fahrenheit
  }
}

ingest "file" "machine" {
  to   = channel.machine
  path = "machine_temperature_system_failure.csv"
}

pipeline "machine" {
  from = channel.machine

  rule "celsius" {
    where = value > -50 && value < 300
    set   = { celsius = (value - 32) / 1.8 }
  }

  window "tumbling" "hourly" {
    from  = rule.celsius
    every = "1h"
    emit = {
      value_avg    = avg(value)
      value_min    = min(value)
      value_max    = max(value)
      value_stddev = stddev(value)
      celsius_avg  = avg(celsius)
      n            = count()
    }
  }

  # It runs at 80 to 100; well below, it is standing still or failing.
  alarm "cold" {
    from     = rule.celsius
    when     = value < 60
    for      = "30m"
    clear    = value > 70
    severity = "critical"
    with     = [value]
  }

  alarm "hot" {
    from     = rule.celsius
    when     = value > 105
    for      = "10m"
    severity = "warning"
    with     = [value]
  }

  # What no threshold knows beforehand: how odd a reading is for this machine. Try others with
  # tidemill backtest --csv machine_temperature_system_failure.csv --on value
  anomaly "ensemble" "odd" {
    from = rule.celsius
    on   = [value]
  }

  alarm "odd" {
    from     = anomaly.odd
    when     = grade > 0
    severity = "warning"
    with     = [value]
  }

  sink "file" "hourly" {
    from = window.hourly
    path = "${var.out}/machine_hourly.ndjson"
  }

  sink "file" "alarms" {
    from = [alarm.cold, alarm.hot, alarm.odd]
    path = "${var.out}/machine_alarms.ndjson"
  }

  # For Grafana: nothing runs here while influx_url is empty.
  sink "influxdb" "hot" {
    from    = [rule.celsius, window.hourly, alarm.cold, alarm.hot]
    url     = var.influx_url
    org     = var.influx_org
    bucket  = var.influx_bucket
    token   = var.influx_token
    enabled = var.influx_url != ""
  }

  sink "file" "odd" {
    from = anomaly.odd
    path = "${var.out}/machine_odd.ndjson"
  }

  sink "stdout" "show" {
    from   = [alarm.cold, alarm.hot, alarm.odd]
    format = "table"
  }
}
