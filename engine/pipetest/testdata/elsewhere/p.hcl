# A table that several configurations share stands beside none of them.

channel "c" {
  key    = device
  schema = { device = string, v = number }
}

pipeline "p" {
  from = channel.c
  enrich "file" "rooms" {
    path    = "../table/rooms.csv"
    by      = [device]
    columns = { device = string, room = string }
  }
}
