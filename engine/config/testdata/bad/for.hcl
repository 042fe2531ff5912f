channel "c" {}
pipeline "p" {
  from = channel.c
  rule "a" {
    set = { for k, v in x : k => v } # ERROR: Tidemill's language has no "for" expressions.
  }
}
