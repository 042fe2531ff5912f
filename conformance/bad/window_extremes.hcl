channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number, site = string, door_open = bool }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "p" {
  from = channel.telemetry

  window "tumbling" "ages" {
    by    = [device]
    every = "10436w" # ERROR: over a hundred years
    emit  = { n = count() }
  }
  window "sliding" "gaps" {
    by    = [device]
    size  = "5m"
    every = "10m" # ERROR: A step is at most as long as the window
    emit  = { n = count() }
  }
  window "sliding" "panes" {
    by    = [device]
    size  = "10h"
    every = "1ms" # ERROR: at most 100000 are allowed
    emit  = { n = count() }
  }
  window "session" "forever" {
    by   = [device]
    gap  = "10436w" # ERROR: over a hundred years
    emit = { n = count() }
  }
  window "session" "never" {
    by   = [device]
    gap  = "0s" # ERROR: a window is at least 1ms long
    emit = { n = count() }
  }
  window "count" "none" {
    by   = [device]
    size = 0 # ERROR: a window has from 1 to 1000000000 rows
    emit = { n = count() }
  }
  window "state" "texts" {
    by    = [device]
    while = site # ERROR: bool
    emit  = { n = count() }
  }
  window "tumbling" "strings" {
    by    = [device]
    every = "5m"
    emit = {
      a = avg(site)            # ERROR: avg takes a number; this is a string
      s = sum(site)            # ERROR: sum takes a number; this is a string
      d = delta(site)          # ERROR: delta takes a number; this is a string
      p = percentile(site, 50) # ERROR: percentile takes a number; this is a string
      t = time_avg(site)       # ERROR: time_avg takes a number; this is a string
    }
  }
}
