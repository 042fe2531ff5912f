# Minutes become hours and hours become days: each pipeline reads the channel
# that the one before feeds. What comes late revises a minute, and with it the
# hour and the day: a revised row takes the place of the one before (revisions).
# Each keeps what it has for as long as the one before may revise it.

channel "gateway_minutes" {
  key = device
}

channel "gateway_hours" {
  key = device
}

pipeline "gateway_minutes" {
  from = channel.gateways

  rule "plausible" {
    where = data.humidity >= 0 && data.humidity <= 100 && data.temp > -40
  }

  window "tumbling" "minute" {
    from  = rule.plausible
    by    = [device]
    every = "1m"
    keep  = "2h"
    emit = {
      temp_sum = sum(data.temp)
      temp_min = min(data.temp)
      temp_max = max(data.temp)
      n        = count()
    }
  }

  sink "channel" "minutes" {
    from = window.minute
    to   = channel.gateway_minutes
  }
}

pipeline "gateway_hours" {
  from = channel.gateway_minutes

  window "tumbling" "hour" {
    by        = [device]
    every     = "1h"
    keep      = "2h"
    revisions = "latest"
    emit = {
      temp_sum = sum(temp_sum)
      temp_min = min(temp_min)
      temp_max = max(temp_max)
      n        = sum(n)
      minutes  = count()
    }
  }

  # All gateways together: their rows are brought into one partition first.
  window "tumbling" "fleet" {
    from      = channel.gateway_minutes
    every     = "1h"
    keep      = "2h"
    revisions = "latest"
    emit = {
      temp_avg = sum(temp_sum) / sum(n)
      temp_max = max(temp_max)
      n        = sum(n)
    }
  }

  sink "channel" "hours" {
    from = window.hour
    to   = channel.gateway_hours
  }

  sink "file" "fleet" {
    from = window.fleet
    path = "${var.out}/fleet_hourly.ndjson"
  }
}

pipeline "gateway_days" {
  from = channel.gateway_hours

  window "tumbling" "day" {
    by        = [device]
    every     = "24h"
    keep      = "2h"
    revisions = "latest"
    emit = {
      temp_avg = sum(temp_sum) / sum(n)
      temp_min = min(temp_min)
      temp_max = max(temp_max)
      n        = sum(n)
      minutes  = sum(minutes)
      hours    = count()
    }
  }

  sink "file" "days" {
    from = window.day
    path = "${var.out}/gateways_daily.ndjson"
  }
}
