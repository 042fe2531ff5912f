channel "none" {
  dedupe = {} # ERROR: dedupe takes { key = [device, seq], within = "1h" }, and max = the number of rows remembered.
}
channel "text" {
  dedupe = "device" # ERROR: dedupe takes { key = [device, seq], within = "1h" }
}
channel "names" {
  dedupe = { keys = device, key = [a, a, _time, "b"] } # ERROR: dedupe has no argument "keys". Did you mean "key"? # ERROR: a stands in key already. # ERROR: _time belongs to the engine. # ERROR: key takes the name of a column without quotes
}
channel "numbers" {
  dedupe = { key = [], within = "10", max = 0 } # ERROR: key lists from 1 to 16 columns # ERROR: within: # ERROR: max goes from 1 to 268435456.
}
channel "span" {
  dedupe = { key = a, within = "101d", max = "x" } # ERROR: within goes from 1s to # ERROR: max goes from 1
}
channel "apart" {
  key    = device
  dedupe = { key = seq } # ERROR: Rows of channel.apart are spread over 4 partitions by device, so that equal ones would not meet. Write key = [device, seq]
}
pipeline "p" {
  from = channel.none
}
