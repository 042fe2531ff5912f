channel "c" {
  explode = reading # ERROR: Did you mean readings?
  schema  = { readings = list(number) }
}
channel "d" {
  key     = readings.id # ERROR: A record goes to its partition whole
  explode = readings
  schema  = { readings = list({ id = string }) }
}
channel "e" {
  schema = { readings = list({ v = number }) } # ERROR: add explode = readings
}
