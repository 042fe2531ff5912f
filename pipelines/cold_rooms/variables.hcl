variable "listen" {
  help    = "Where probes publish over MQTT. Other machines reach it only with TLS and authentication."
  default = "tcp://127.0.0.1:1883"
}

variable "input" {
  help    = "A file of readings as JSON lines, to be read instead."
  default = ""
}

variable "out" {
  help    = "Folder for the results."
  default = "out"
}
