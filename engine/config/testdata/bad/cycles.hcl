channel "c" {}
pipeline "p" {
  from = channel.c
  rule "a" {
    from = rule.b
  }
  rule "b" {
    from = window.w
  }
  window "tumbling" "w" {
    from = rule.a # ERROR: Rows would go round for ever: rule.a -> rule.b -> window.w -> rule.a (each reads the next).
  }
  rule "self" {
    from = rule.self # ERROR: rule.self reads itself.
  }
  rule "behind" {
    from = rule.a
  }
}
