channel "quoted" {
  key  = "device" # ERROR: key takes the name of a column without quotes: key = device
  time = "ts" # ERROR: time takes a column or an expression without quotes: time = ts
}
channel "hyphen" {
  key = device-id # ERROR: Did you mean device_id?
}
channel "keyed" {
  partitions = 4 # ERROR: Partitions without a key
}
channel "range" {
  key        = id
  partitions = 4096 # ERROR: partitions goes from 1 to 1024; this is 4096.
  max_keys   = 0 # ERROR: max_keys goes from 1
  retention  = 7 # ERROR: retention takes a duration in double quotes with its unit, such as "5m"; this is a number.
  ahead      = "10 minutes" # ERROR: the unknown unit "minutes" (did you mean m?)
  retain_bytes = "10Gb" # ERROR: the unknown unit "Gb" (did you mean GB?)
  retain       = "1d" # ERROR: An argument named "retain" is not expected here. Did you mean "retain_bytes"?
}
channel "call" {
  key = lower(device) # ERROR: key takes the name of one column
}
channel "list" {
  key    = tags # ERROR: tags is a list; a key is one value.
  schema = { tags = list(string) }
}
channel "bundle" {
  key     = readings.id # ERROR: A record goes to its partition whole
  explode = readings
  schema  = { readings = list({ id = string }) }
}
channel "bundle2" {
  explode = reading # ERROR: The schema has no list "reading" to explode. Did you mean readings?
  schema  = { readings = list(number) }
}
channel "bundle3" {
  explode = id # ERROR: explode takes a list; id is none in the schema.
  schema  = { id = string }
}
