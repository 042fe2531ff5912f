channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number, setpoint = number, door_open = bool, n = integer, site = string, tags = list(string) }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

variable "token" {
  default   = env("SECRET")
  sensitive = true
}
variable "missing" {
  default = env("NO_SUCH_SECRET") # ERROR: The environment variable NO_SUCH_SECRET is not set
}
engine {
  tick       = env("SECRET") # ERROR: the value of this expression is none
  checkpoint = var.token # ERROR: the value of this expression is none
}
pipeline "p" {
  from = channel.telemetry

  sink "stdout" "s" {
    enabled = var.token # ERROR: enabled takes a bool
  }
  rule "r" {
    where = temp > var.token # ERROR: string
  }
  rule "t" {
    where = var.token # ERROR: bool
  }
}
