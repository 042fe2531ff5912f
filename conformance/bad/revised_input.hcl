channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number, setpoint = number, door_open = bool, n = integer, site = string, tags = list(string) }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "p" {
  from = channel.telemetry

  window "tumbling" "w" {
    by    = [device]
    every = "5m"
    emit  = { t = avg(temp) }
  }
  rule "r" {
    from  = window.w
    where = temp > 3 # ERROR: There is no column "temp" in window.w
  }
  alarm "a" {
    from = window.w
    when = avg(t) > 3 # ERROR: avg computes one value of many rows; only emit of a window has it.
  }
  window "tumbling" "v" {
    from  = window.w
    by    = [device]
    every = "1h"
    emit  = { t = max(temp) } # ERROR: There is no column "temp" in window.w
  }
}
