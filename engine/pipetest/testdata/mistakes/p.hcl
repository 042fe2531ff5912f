channel "c" {
  key    = device
  schema = { device = string, v = number }
}
pipeline "p" {
  from = channel.c
  rule "high" {
    where = v > 10
  }
}
