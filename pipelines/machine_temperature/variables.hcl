variable "out" {
  help    = "Folder for the results."
  default = "out"
}

variable "influx_url" {
  help    = "An InfluxDB to write to as well, such as http://127.0.0.1:8086; nothing is written when left out."
  default = ""
}

variable "influx_bucket" {
  help    = "Bucket there; database/retention_policy for a server 1.8."
  default = "machines"
}

variable "influx_org" {
  help    = "Organization there; a server 1.8 has none."
  default = ""
}

variable "influx_token" {
  help    = "Token there; user:password for a server 1.8."
  default = ""
}
