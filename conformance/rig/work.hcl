engine {
  checkpoint = "100ms"
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
  to   = channel.telemetry
  path = "INPUT"
}

pipeline "cold_chain" {
  from = channel.telemetry

  rule "plausible" {
    where = temp > -60 && temp < 80
    set   = { over = temp - setpoint }
  }

  rule "warm" {
    from  = rule.plausible
    where = over > 3 && !door_open
  }

  window "tumbling" "five_min" {
    from  = rule.plausible
    by    = [device]
    every = "5m"
    emit  = { temp_avg = avg(temp), temp_max = max(temp), last_seq = last(seq), n = count() }
  }

  alarm "too_warm" {
    from = rule.plausible
    by   = [device]
    when = over > 3
    for  = "5m"
  }

  sink "file" "rows" {
    from = rule.warm
    path = "OUT/rows.ndjson"
  }

  sink "file" "windows" {
    from = window.five_min
    path = "OUT/windows.ndjson"
  }

  sink "file" "alarms" {
    from = alarm.too_warm
    path = "OUT/alarms.ndjson"
  }

  sink "stdout" "show" {
    from = alarm.too_warm
  }

  sink "file" "rejects" {
    path = "OUT/rejects.ndjson"
  }
  rejects = sink.rejects
}

# The models of this pipeline are large enough to have a log: they stand in files of their own beside the checkpoints.
# It reads the channel itself, since what stands behind a rule that is changed begins anew.
pipeline "odd" {
  from = channel.telemetry

  window "tumbling" "five_min" {
    by    = [device]
    every = "5m"
    emit  = { temp_avg = avg(temp) }
  }

  anomaly "seasonal" "compressor" {
    from    = window.five_min
    by      = [device]
    on      = [temp_avg]
    warm_up = 12
  }

  sink "file" "scores" {
    from = anomaly.compressor
    path = "OUT/scores.ndjson"
  }
}
