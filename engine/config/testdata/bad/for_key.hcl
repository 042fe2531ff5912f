channel "c" {}
pipeline "p" {
  from = channel.c
  rule "a" {
    set = { for = 1 } # ERROR: A name "for" needs double quotes in { ... }.
  }
  alarm "b" {
    for = "5m"
  }
}
