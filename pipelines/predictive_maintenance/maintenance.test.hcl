# Tests of the health index and its alarms: tidemill test pipelines/predictive_maintenance

# One engine wears out over its last hundred flights as those of the data do, another one does not.
test "a worn engine is told long before a failing one" {
  start = "1970-01-02T00:00:00Z"
  generate {
    to      = channel.engines
    devices = 2
    every   = "24h"
    for     = "200d"
    set = {
      engine = "${n}", cycle = t / 86400 + 1
      s2     = 642.3 + (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 1.5
      s3     = 1587 + (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 16
      s4     = 1402 + (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 27
      s7     = 553.8 - (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 2.3
      s11    = 47.4 + (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 0.75
      s12    = 521.8 - (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 2
      s15    = 8.42 + (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 0.1
      s17    = 392.4 + (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 3.5
      s20    = 38.9 - (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 0.5
      s21    = 23.35 - (n == 1 ? greatest(0, t / 86400 - 100) / 100 : 0) * 0.3
    }
  }
  expect {
    from  = alarm.worn
    table = <<-EOT
      engine  cycle  state
      "1"     149    raised
    EOT
  }
  expect {
    from  = alarm.failing
    table = <<-EOT
      engine  cycle  state
      "1"     164    raised
    EOT
  }
  expect {
    from = rejects
    rows = 0
  }
}

test "an engine without one of the sensors has no index" {
  start = "1970-01-02T00:00:00Z"
  generate {
    to    = channel.engines
    every = "24h"
    for   = "60d"
    set = {
      engine = "${n}", cycle = t / 86400 + 1, s2 = 700
    }
  }
  expect {
    from = window.five
    rows = 13
  }
  expect {
    from = alarm.failing
    rows = 0
  }
}
