test "everything as expected" {
  rows {
    to    = channel.c
    table = <<-EOT
      at   device  ts    v   pos.lat
      0s   a       +0s   5   1.5
      10s  a       +10s  15  -
      2m   a       +2m   25  2
      4m   "b c"   +4m   12  3
    EOT
  }
  expect {
    from  = rule.high
    table = <<-EOT
      device  ts    twice  pos.lat
      a       +10s  30     -
      a       +2m   50     2
      "b c"   +4m   24     3
    EOT
  }
  expect {
    from    = channel.c
    ordered = true
    rows    = 4
  }
  expect {
    from  = window.minute
    table = <<-EOT
      device  window_start  n  mean
      a       +0s           2  10
      a       +2m           1  25
      "b c"   +4m           1  12
    EOT
  }
  expect {
    from     = sink.out
    at_least = 3
    at_most  = 3
  }
  expect {
    from   = channel.c
    metric = "records"
    value  = 4
  }
}

test "shows what differs" {
  rows {
    to     = channel.c
    ndjson = <<-EOT
      {"device":"a","ts":"2026-01-01T00:00:00Z","v":11}
      {"device":"a","ts":"2026-01-01T00:00:30Z","v":"x"}
    EOT
  }
  expect {
    from  = rule.high
    table = <<-EOT
      device  twice
      a       23
    EOT
  }
  expect {
    from  = rejects
    table = <<-EOT
      stage      field
      channel.c  v
    EOT
  }
  expect {
    from = window.minute
    rows = 7
  }
  expect {
    metric = "rejects"
    value  = 2
  }
}

# A crash, a power cut and a sink that fails change nothing.
test "crashes" {
  generate {
    to      = channel.c
    devices = 3
    every   = "10s"
    for     = "10m"
    set     = { device = "d${n}", ts = time, v = 9 + n + i % 2 }
    duplicated = 0.1
    offline {
      devices = [2]
      at      = "2m"
      for     = "3m"
    }
    skew {
      devices = [3]
      behind  = "1m"
    }
  }
  crash {
    at = "3m"
  }
  crash {
    at    = "5m"
    power = true
  }
  fail {
    sink = sink.out
    at   = "4m"
    for  = "1m"
  }
  fail {
    sink = sink.out
    at   = "7m"
    for  = "1m"
    hang = true
  }
  expect {
    from = channel.c
    rows = 196
  }
  expect {
    from  = window.minute
    contains = true
    table = <<-EOT
      device  window_start            final
      d2      +0s                     true
      d3      "2025-12-31T23:59:00Z"  true
    EOT
  }
}

test "without an end windows stay open" {
  end   = false
  until = "30s"
  rows {
    to    = channel.c
    table = <<-EOT
      device  ts   v
      a       +0s  5
    EOT
  }
  expect {
    from = window.minute
    rows = 0
  }
}
