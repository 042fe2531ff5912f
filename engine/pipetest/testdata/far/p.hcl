# One row from 2099, in front of everything that tells old rows from new ones, also behind a channel that a pipeline feeds.

channel "in" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, n = number, on = bool }
}

channel "fed" {
  key = device
}

channel "limits" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, limit = number }
}

pipeline "a" {
  from = channel.in
  rule "all" { where = n > 0 }
  sink "channel" "to" {
    from = rule.all
    to   = channel.fed
  }
  join "latest" "with" {
    from = [rule.all, channel.limits]
    by   = [device]
    take = { limit = limit }
  }
}

pipeline "b" {
  from = channel.fed
  alarm "high" {
    by   = [device]
    when = n > 5
  }
  window "tumbling" "minutes" {
    by    = [device]
    every = "1m"
    emit  = { n = sum(n) }
  }
  window "state" "on" {
    by    = [device]
    while = on
    emit  = { n = sum(n) }
  }
  anomaly "ewma" "odd" {
    by = [device]
    on = [n]
  }
}
