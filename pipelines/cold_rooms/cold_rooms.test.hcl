# Tests of the cold rooms: tidemill test pipelines/cold_rooms

# p1 is right, p2 ahead by nine minutes, p3 behind by forty, and p4's clock has begun anew in 1970. All four
# warm up by the same curve. After ten readings it is known by how much a clock is off. Until then p3's stand
# where its clock said, and those of p2 and p4, which cannot be believed, at their receipt.
test "clocks that are wrong" {
  generate {
    to      = channel.rooms
    devices = 4
    every   = "1m"
    for     = "1h"
    set = {
      probe = "p${n}", shop = "lyon", temp = 4 + i / 10
      ts    = n == 4 ? time_from(t, "s") : time
    }
    skew {
      devices = [2]
      ahead   = "9m"
    }
    skew {
      devices = [3]
      behind  = "40m"
    }
  }
  crash {
    at = "25m"
  }
  expect {
    from  = window.quarters
    table = <<-EOT
      probe  window_start            n   temp_max
      p1     +0s                     15  5.4
      p1     +15m                    15  6.9
      p1     +30m                    15  8.4
      p1     +45m                    15  9.9
      p2     +0s                     15  5.4
      p2     +15m                    15  6.9
      p2     +30m                    15  8.4
      p2     +45m                    15  9.9
      p3     "2025-12-31T23:15:00Z"  10  4.9
      p3     +0s                     5   5.4
      p3     +15m                    15  6.9
      p3     +30m                    15  8.4
      p3     +45m                    15  9.9
      p4     +0s                     15  5.4
      p4     +15m                    15  6.9
      p4     +30m                    15  8.4
      p4     +45m                    15  9.9
    EOT
  }
  expect {
    from  = alarm.too_warm
    table = <<-EOT
      probe  at    state
      p1     +51m  raised
      p2     +51m  raised
      p3     +51m  raised
      p4     +51m  raised
    EOT
  }
  expect {
    from = rejects
    rows = 0
  }
}

test "a door, and a probe that is broken" {
  rows {
    to    = channel.rooms
    table = <<-EOT
      at   probe  ts    shop  temp
      0s   p1     +0s   lyon  4
      5m   p1     +5m   lyon  9
      20m  p1     +20m  lyon  5
      21m  p1     +21m  lyon  85
      30m  p1     +30m  lyon  nonsense
      60m  p1     +60m  lyon  4
    EOT
  }
  expect {
    from = alarm.too_warm
    rows = 0
  }
  expect {
    from  = rejects
    table = <<-EOT
      stage          field  reason
      channel.rooms  temp   "byte 64: found the text \"nonsense\" where a number should be"
    EOT
  }
}
