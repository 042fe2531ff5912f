# Clocks that are wrong: corrected by key, or judged.

channel "corrected" {
  key    = device
  time   = ts
  ahead  = "1m"
  schema = { device = string, ts = timestamp, n = number }
  clock {
    correct_skew = true
    far_future   = "receive"
  }
}

channel "judged" {
  key    = device
  time   = ts
  ahead  = "10m"
  schema = { device = string, ts = timestamp }
  clock {
    behind     = "1h"
    far_future = "reject"
  }
}

channel "taken" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp }
  clock {
    behind   = "1h"
    far_past = "receive"
  }
}

pipeline "p" {
  from = channel.corrected
  rule "all" { set = { at = _time, off = ts - _time } }
  window "tumbling" "minutes" {
    from  = rule.all
    by    = [device]
    every = "2m"
    emit  = { n = count(), least = min(n), most = max(n) }
  }
  sink "file" "out" {
    from = window.minutes
    path = "out.ndjson"
  }
}

pipeline "q" {
  from = channel.judged
  rule "near" {}
  sink "file" "near" { path = "near.ndjson" }
}

pipeline "r" {
  from = channel.taken
  rule "some" {}
  sink "file" "some" { path = "some.ndjson" }
}
