name     = "geofence"
version  = "1.0.0"
kind     = enrich
language = c
help     = "In which area a device is; when it entered and left, and how long it stayed."

reads = {
  lat   = { type = number, required = true, help = "degrees north, WGS 84" }
  lon   = { type = number, required = true, help = "degrees east" }
  _time = { type = timestamp, help = "event time" }
}

writes = {
  area  = { type = string, nullable = true, help = "the area that the device is in; null outside of all" }
  event = { type = string, nullable = true, help = "enter, exit, or move: from one area into another" }
  left  = { type = string, nullable = true, help = "the area that it left, with exit and move" }
  dwell = { type = number, nullable = true, help = "seconds in area so far; with exit, seconds in left" }
}

state {
  version = 1
  columns = {
    area    = { type = bytes, max = 64, help = "where it is" }
    since   = { type = integer, help = "when it came there, us" }
    next    = { type = bytes, max = 64, help = "where it seems to be, until settle rows agree" }
    count   = { type = integer, help = "rows that agree" }
    arrived = { type = integer, help = "the first of them, us" }
  }
}

config = {
  areas  = { type = json, required = true, help = "[{name, ring: [[lon, lat], ...]} or {name, center: [lon, lat], radius: metres}, ...]; the first that fits counts" }
  settle = { type = integer, default = 1, help = "rows in a row that must agree before a device has moved: against positions that jump" }
}
