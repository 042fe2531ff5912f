# Tests of the compressor's detection: tidemill test pipelines/coldhaul

# Two days in which two trailers' cargo swings by half a degree as it does; then the
# compressor of one stands still for an hour and a half.
test "a compressor that stands still is found, and the other trailer is left alone" {
  generate {
    to      = channel.telemetry
    devices = 2
    every   = "1m"
    for     = "52h"
    set = {
      device   = "t${n}", ts = time, site = "lyon", speed = 60, door_open = false
      setpoint = -18
      temp     = -18 + 0.25 * sin(t / 700) + 0.1 * sin(t / 61 + n) + (n == 2 && t > 180000 ? least(t - 180000, 5400) / 1500 : 0)
    }
  }
  crash {
    at = "49h"
  }
  expect {
    from  = alarm.compressor
    table = <<-EOT
      device  at                     state
      t2      +2d2h34m59s999ms999us  raised
    EOT
  }
  expect {
    from  = alarm.too_warm
    table = <<-EOT
      device  at        state
      t2      +2d3h22m  raised
    EOT
  }
}
