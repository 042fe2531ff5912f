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

  sink "influxdb" "hot" {
    from       = [rule.warm, window.five_min, alarm.too_warm]
    url        = "URL"
    bucket     = "DATABASE/autogen"
    token      = "TOKEN"
    batch_rows = ROWS
    batch_age  = "10ms"
    timeout    = "2s"
  }

  // Of these rows the server refuses every one: the retention policy keeps an hour.
  sink "influxdb" "brief" {
    from     = alarm.too_warm
    url      = "URL"
    bucket   = "DATABASE/brief"
    token    = "TOKEN"
    timeout  = "2s"
  }

  sink "file" "rejects" {
    path = "out/rejects.ndjson"
  }
  rejects = sink.rejects
}
