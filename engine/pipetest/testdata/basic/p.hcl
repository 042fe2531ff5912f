channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, v = number, pos = { lat = number } }
}

pipeline "p" {
  from = channel.c
  rule "high" {
    where = v > 10
    set   = { twice = v * 2 }
  }
  alarm "hot" {
    by   = [device]
    when = v > 20 ? true : v == 15
    for  = "1m"
  }
  window "tumbling" "minute" {
    by    = [device]
    every = "1m"
    emit  = { n = count(), mean = avg(v) }
  }
  sink "file" "out" {
    from = rule.high
    path = "out.ndjson"
  }
}
