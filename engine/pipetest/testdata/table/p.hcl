channel "c" {
  key    = device
  schema = { device = string, v = number }
}
pipeline "p" {
  from = channel.c
  enrich "file" "rooms" {
    path    = "rooms.csv"
    by      = [device]
    columns = { device = string, room = string }
    default = { room = "unknown" }
  }
}
