channel "c" {
  time   = tss # ERROR: ts
  schema = { ts = timestamp, temp = number }
}
channel "d" {
  time   = device # ERROR: timestamp
  schema = { device = string }
}
channel "e" {
  time   = ok # ERROR: timestamp
  schema = { ok = bool }
}
