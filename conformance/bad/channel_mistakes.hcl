channel "a" {
  key = "device" # ERROR: key = device
}
channel "b" {
  time = "ts" # ERROR: time = ts
}
channel "c" {
  partitions = 8 # ERROR: Partitions without a key
}
channel "d" {
  key        = id
  partitions = 5000 # ERROR: partitions goes from 1 to 1024; this is 5000.
}
channel "e" {
  retention = "7 days" # ERROR: did you mean d?
}
channel "f" {
  retain_bytes = 1000000 # ERROR: retain_bytes takes a size in double quotes with its unit
}
channel "g" {
  retenion = "7d" # ERROR: Did you mean "retention"?
}
channel "h" {
  key = device-id # ERROR: Did you mean device_id?
}
channel "two words" { # ERROR: Did you mean "two_words"?
}
channel { # ERROR: channel takes one label
}
