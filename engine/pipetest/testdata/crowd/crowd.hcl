channel "telemetry" {
  key    = device
  time   = ts
  dedupe = { key = [device, seq], within = "1h", max = 65536 }
  schema = { device = string, ts = timestamp, temp = number, setpoint = number, seq = integer }
}

pipeline "fleet" {
  from = channel.telemetry
  window "tumbling" "minutes" {
    by    = [device]
    every = "2m"
    emit  = { temp_avg = avg(temp), n = count() }
  }
  alarm "warm" {
    from = window.minutes
    by   = [device]
    when = temp_avg > 4.5
  }
}
