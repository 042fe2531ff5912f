channel "c" {
  key    = device
  schema = { device = string }
}
pipeline "p" {
  from = channel.c
  rule "all" {}
}
