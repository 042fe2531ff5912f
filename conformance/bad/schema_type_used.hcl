channel "c" {
  schema = {
    ts   = timestamp
    temp = float # ERROR: There is no type "float". Did you mean number?
    name = "text" # ERROR: A type stands without quotes, such as string.
  }
}

pipeline "p" {
  from = channel.c
  rule "warm" {
    where = temp > 3 && name == "a"
    set   = { n = name + 1 } # ERROR: name
  }
  sink "stdout" "s" {
    from = rule.warm
  }
}
