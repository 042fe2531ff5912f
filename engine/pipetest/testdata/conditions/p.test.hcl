test "a door that stays open" {
  generate {
    to    = channel.c
    every = "1m"
    for   = "24m"
    set   = { device = "a", ts = time, temp = i - 5, open = true }
  }
  expect {
    from  = window.pairs
    table = <<-EOT
      temp  device
      -4    a
    EOT
  }
}
test "a door that is opened" {
  rows {
    to    = channel.c
    table = <<-EOT
      at  device  ts   temp  open
      0m  a       +0m  1     false
      1m  a       +1m  1     true
      2m  a       +2m  1     false
    EOT
  }
  expect {
    from = window.door
    rows = 1
  }
  expect {
    from   = window.many
    metric = "held_back"
    value  = 1
  }
  expect {
    from   = window.many
    metric = "late_dropped"
    value  = 0
  }
}
