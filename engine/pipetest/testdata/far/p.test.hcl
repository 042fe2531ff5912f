test "a clock that says 2099 once" {
  rows {
    to    = channel.in
    table = <<-EOT
      at    device  ts                      n   on
      0s    a       +0s                     1   false
      10m   a       "2099-01-01T00:00:00Z"  2   false
      30m   a       +30m                    3   true
      31m   a       +31m                    9   true
      32m   a       +32m                    4   false
      50m   a       +50m                    5   false
    EOT
  }
  rows {
    to    = channel.limits
    table = <<-EOT
      at    device  ts                      limit
      9m    a       "2099-01-01T00:00:00Z"  10
      40m   a       +40m                    20
    EOT
  }
  expect {
    from  = alarm.high
    table = <<-EOT
      device  at    state
      a       +31m  raised
      a       +32m  cleared
    EOT
  }
  expect {
    from  = window.minutes
    table = <<-EOT
      window_start            n
      +0s                     1
      +30m                    3
      +31m                    9
      +32m                    4
      +50m                    5
      "2099-01-01T00:00:00Z"  2
    EOT
  }
  expect {
    from  = window.on
    table = <<-EOT
      window_start  window_end  n
      +30m          +32m        12
    EOT
  }
  expect {
    from   = anomaly.odd
    metric = "out_of_order"
    value  = 0
  }
  expect {
    from  = join.with
    table = <<-EOT
      n  limit
      1  -
      2  10
      3  10
      9  10
      4  10
      5  20
    EOT
  }
}
