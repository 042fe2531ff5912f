variable "listen" {
  help    = "Where trailers publish over MQTT."
  default = "tcp://127.0.0.1:1883"
}

variable "input" {
  help    = "A file of telemetry as JSON lines, to be read instead. `tidemill simulate --demo --out trailers.ndjson` makes some."
  default = ""
}

variable "follow" {
  help    = "Wait for more at the end of the input file."
  default = false
}

variable "out" {
  help    = "Folder for the results."
  default = "out"
}
