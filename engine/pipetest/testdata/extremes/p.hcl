# Numbers that are none, infinities, and time that runs backwards.

channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, a = number, b = number }
}

pipeline "p" {
  from = channel.c
  rule "divided" { set = { x = a / b, y = sqrt(a) } }
  window "tumbling" "minutes" {
    from  = rule.divided
    by    = [device]
    every = "1m"
    emit = {
      n      = count()
      nx     = count(x)
      sum    = sum(x)
      avg    = avg(x)
      least  = min(x)
      most   = max(x)
      middle = percentile(x, 50)
      kinds  = distinct(x)
      spread = stddev(x)
      root   = avg(y)
    }
  }
  window "sliding" "slides" {
    from  = rule.divided
    by    = [device]
    size  = "2m"
    every = "1m"
    emit  = { n = count(), sum = sum(x), most = max(x) }
  }
  window "session" "sessions" {
    from = rule.divided
    by   = [device]
    gap  = "5m"
    emit = { n = count(), most = max(x) }
  }
  sink "file" "out" {
    from = [window.minutes, window.slides, window.sessions]
    path = "out.ndjson"
  }
}
