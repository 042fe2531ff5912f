# Cold rooms of shops. Their probes are cheap: the clocks drift, nobody sets them, and after a power cut
# some begin in 1970. What they measure is right all the same, and so is when, once it is
# known by how much each clock is off.

channel "rooms" {
  key    = probe
  time   = ts
  ahead  = "2m"
  schema = { probe = string, ts = timestamp, shop = string, temp = number }

  clock {
    correct_skew = true      # by the median of what each probe's clock has been off
    far_future   = "receive" # until that is known
    behind       = "2d"
    far_past     = "receive" # 1970, and no backlog
  }
}

ingest "mqtt" "probes" {
  enabled = var.input == ""
  to      = channel.rooms
  listen  = var.listen
  topic   = "rooms/{shop}/{probe}"
}

ingest "file" "recorded" {
  enabled = var.input != ""
  to      = channel.rooms
  path    = var.input != "" ? var.input : "none"
}

pipeline "rooms" {
  from = channel.rooms

  rule "plausible" {
    where = temp > -40 && temp < 60
    set   = { at = _time, clock_off = ts - _time }
  }

  # What an inspector asks for: every quarter of an hour, how warm it was at most.
  window "tumbling" "quarters" {
    from  = rule.plausible
    by    = [probe]
    every = "15m"
    emit = {
      shop      = last(shop)
      temp_max  = max(temp)
      temp_mean = time_avg(temp)
      n         = count()
    }
  }

  alarm "too_warm" {
    from     = rule.plausible
    by       = [probe]
    when     = temp > 7
    for      = "20m" # doors are opened
    severity = "critical"
    with     = [shop, temp]
  }

  sink "file" "quarters" {
    from = window.quarters
    path = "${var.out}/quarters.ndjson"
  }

  sink "file" "alarms" {
    from = alarm.too_warm
    path = "${var.out}/alarms.ndjson"
  }

  sink "file" "rejects" {
    path = "${var.out}/rejects.ndjson"
  }
  rejects = sink.rejects
}
