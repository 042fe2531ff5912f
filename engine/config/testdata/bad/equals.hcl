channel "c" {}
pipeline "p" {
  from = channel.c
  window "tumbling" "a" {
    every "5m" # ERROR: To set an argument, write every = "5m"
    by [device] # ERROR: To set an argument, write by = [device]
    emit: { n = count() } # ERROR: An argument is set by an equals sign, not a colon: emit = ...
    keep 5 # ERROR: To set an argument, write keep = 5
  }
  rule "b" { where = true, set = {} } # ERROR: A block on one line holds one argument.
  rule "c" = { # ERROR: The equals sign "=" indicates an argument definition
    where = true
  }
}
