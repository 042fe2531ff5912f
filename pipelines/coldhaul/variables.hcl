variable "input" {
  help    = "Telemetry of the trailers as JSON lines. `tidemill simulate --demo --out trailers.ndjson` makes some."
  default = "trailers.ndjson"
}

variable "follow" {
  help    = "Wait for more at the end of the input."
  default = false
}

variable "out" {
  help    = "Folder for the results."
  default = "out"
}
