channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number, open = bool }
}
pipeline "p" {
  from = channel.c
  window "state" "door" {
    by    = [device]
    while = open
    emit  = { n = count() }
  }
  anomaly "ewma" "odd" {
    by       = [device]
    on       = [temp]
    suppress = open
  }
  window "tumbling" "many" {
    by     = [device]
    every  = "10m"
    having = count() > 5
    emit   = { n = count() }
  }
  window "count" "pairs" {
    by   = [device]
    size = 2
    emit = { temp = max(temp) }
  }
}
