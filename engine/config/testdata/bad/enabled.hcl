channel "c" {}
variable "on" { default = false }
pipeline "p" {
  from = channel.c
  rule "a" {
    enabled = var.on
  }
  rule "b" {
    from = rule.a
  }
  rule "c" {
    enabled = false
    from    = rule.a
  }
  rule "d" {
    enabled = "yes" # ERROR: enabled takes a bool
  }
  rule "e" {
    enabled = temp > 3 # ERROR: temp is not known here: this argument is read before any data flows.
  }
  rule "f" {
    enabled = vra.on # ERROR: vra.on is not known here. Did you mean var.on?
  }
  rule "g" {
    enabled = var.off # ERROR: There is no variable "off". There is on.
  }
  rule "h" {
    enabled = True # ERROR: Did you mean true?
  }
  sink "stdout" "s" {
    enabled = 1 > 2
  }
  rejects = sink.s
}
