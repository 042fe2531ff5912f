# So many trailers that actors move at the same time.
test "a fleet, and a crash" {
  tick = "30s"
  fleet {
    to         = channel.telemetry
    devices    = 700
    for        = "10m"
    seed       = 5
    duplicated = 0.01
    malformed  = 0.001
  }
  crash {
    at    = "5m"
    power = true
  }
  expect {
    from = window.minutes
    rows = 3524
  }
  expect {
    from     = alarm.warm
    contains = true
    table    = <<-EOT
      device         at                state
      trailer-00003  +7m59s999ms999us  raised
      trailer-00003  +9m59s999ms999us  cleared
      trailer-00031  +1m59s999ms999us  raised
    EOT
  }
  expect {
    from = alarm.warm
    rows = 74
  }
  expect {
    from = rejects
    rows = 9
  }
}
