variable "listen" {
  help    = "Where trailers publish over MQTT. Other machines reach it only with TLS and authentication; see the ingest \"mqtt\"."
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

variable "watch" {
  help    = "The trailer whose averages are shown on standard output."
  default = "trailer-00042"
}

variable "influx_url" {
  help    = "An InfluxDB to write to as well, such as http://127.0.0.1:8086; nothing is written when left out."
  default = ""
}

variable "influx_bucket" {
  help    = "Bucket there; database/retention_policy for a server 1.8."
  default = "coldhaul"
}

variable "influx_org" {
  help    = "Organization there; a server 1.8 has none."
  default = ""
}

variable "influx_token" {
  help    = "Token there; user:password for a server 1.8."
  default = ""
}
