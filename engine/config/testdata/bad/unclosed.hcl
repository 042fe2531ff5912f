channel "c" {
}
pipeline "p" {
  from = channel.c
  rule "a" { # ERROR: Unclosed configuration block
    where = temp > 3

