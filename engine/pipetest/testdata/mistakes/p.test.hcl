pipeline "x" {}

test "a" {
  rows {
    to    = channel.c
    table = <<-EOT
      device  v
      a
      "b      1
    EOT
  }
}

test "b" {
  rows {
    to = "channel.c"
  }
  generate {
    to    = channel.c
    every = "1s"
    for   = "1m"
    set   = { device = nam, v = sine(t) }
  }
  expect {
    from = rule.high
  }
  expekt {
  }
}

test "c" {
  start = "yesterday"
  expect {
    from = rule.high
    rows = 0
  }
}

test "d" {
  rows {
    to     = channel.d
    ndjson = "x"
  }
  expect {
    from = rule.hihg
    rows = 0
  }
}

test "e" {
  rows {
    to     = channel.c
    ndjson = "{\"device\":\"a\",\"v\":11}"
  }
  expect {
    from  = rule.high
    table = <<-EOT
      devise
      a
    EOT
  }
}

test "f" {
  rows {
    to     = channel.c
    ndjson = "{\"device\":\"a\",\"v\":11}"
  }
  expect {
    from   = channel.c
    metric = "regects"
    value  = 0
  }
  expect {
    metric  = "late_droped"
    at_most = 0
  }
  expect {
    from   = rule.high
    metric = "rows"
    value  = 1
  }
}
