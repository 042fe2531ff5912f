# Tests of the cold chain: tidemill test pipelines/coldhaul

test "too warm for five minutes" {
  rows {
    to    = channel.telemetry
    table = <<-EOT
      at    device  ts    temp   setpoint  door_open  speed  site
      0s    t1      +0s   -18    -18       false      80     hamburg
      1m    t1      +1m   -14    -18       false      80     hamburg
      5m    t1      +5m   -14    -18       false      80     hamburg
      6m    t1      +6m   -14    -18       false      80     hamburg
      7m    t1      +7m   -18    -18       false      80     hamburg
    EOT
  }
  expect {
    from  = alarm.too_warm
    table = <<-EOT
      device  at   state
      t1      +6m  raised
      t1      +7m  cleared
    EOT
  }
  expect {
    from = alarm.door_open_moving
    rows = 0
  }
  expect {
    from = rejects
    rows = 0
  }
}

# What a trailer measured in a dead zone comes afterwards, and counts as if it
# had come at once; the other trailers do not wait for it.
test "a trailer that was offline loses nothing" {
  generate {
    to      = channel.telemetry
    devices = 2
    every   = "30s"
    for     = "20m"
    set = {
      device = "t${n}", ts = time, site = "lyon", speed = 60, door_open = false
      temp   = -18 + t / 600, setpoint = -18
    }
    offline {
      devices = [2]
      at      = "2m"
      for     = "13m"
    }
  }
  crash {
    at = "10m"
  }
  expect {
    from  = window.five_min
    table = <<-EOT
      device  window_start  n   temp_avg
      t1      +0s           10  -17.775
      t1      +5m           10  -17.275
      t1      +10m          10  -16.775
      t1      +15m          10  -16.275
      t2      +0s           10  -17.775
      t2      +5m           10  -17.275
      t2      +10m          10  -16.775
      t2      +15m          10  -16.275
    EOT
  }
}

test "a record that is sent again counts once" {
  rows {
    to    = channel.telemetry
    table = <<-EOT
      at   device  ts    temp  setpoint  seq
      0s   t1      +0s   -18   -18       7
      1s   t1      +0s   -18   -18       7
      30s  t1      +30s  -16   -18       8
      31s  t2      +30s  -10   -18       8
      60s  t1      +0s   -18   -18       7
      6m   t1      +6m   -18   -18       9
      6m   t2      +6m   -18   -18       9
    EOT
  }
  expect {
    from  = window.five_min
    table = <<-EOT
      device  window_start  n  temp_avg
      t1      +0s           2  -17
      t1      +5m           1  -18
      t2      +0s           1  -10
      t2      +5m           1  -18
    EOT
  }
}

test "a broken probe and an open door" {
  rows {
    to    = channel.telemetry
    table = <<-EOT
      at   device           ts    temp    setpoint  door_open  speed  site
      0s   trailer-00042    +0s   999.99  2         false      80     lyon
      30s  trailer-00042    +30s  2.5     2         true       80     lyon
      60s  trailer-00042    +60s  2.5     2         true       0      lyon
      90s  trailer-00042    +90s  nonsense  2       false      0      lyon
    EOT
  }
  expect {
    from  = alarm.door_open_moving
    table = <<-EOT
      device         at    state
      trailer-00042  +30s  raised
      trailer-00042  +1m   cleared
    EOT
  }
  expect {
    from  = rejects
    table = <<-EOT
      stage              field  reason
      channel.telemetry  temp   "byte 62: found the text \"nonsense\" where a number should be"
    EOT
  }
}

test "a fleet for a day" {
  fleet {
    to          = channel.telemetry
    devices     = 10
    for         = "24h"
    seed        = 3
    offline     = 0.05
    failing     = 0.3
    door_moving = 0.3
  }
  expect {
    metric   = "records"
    from     = channel.telemetry
    at_least = 28000
  }
  expect {
    from     = alarm.too_warm
    at_least = 1
  }
}

# 23 million records, with all faults that the simulated fleet has: tidemill test --long
test "8,000 trailers for a day" {
  long = true
  fleet {
    to           = channel.telemetry
    devices      = 8000
    for          = "24h"
    seed         = 7
    offline      = 0.05
    skewed       = 0.01
    malformed    = 0.0001
    out_of_range = 0.0005
    duplicated   = 0.001
    missing      = 0.001
    failing      = 0.02
    door_moving  = 0.02
  }
  expect {
    metric   = "records"
    from     = channel.telemetry
    at_least = 22000000
  }
  expect {
    from     = window.five_min
    at_least = 2200000
  }
  expect {
    from     = alarm.too_warm
    at_least = 100
  }
  expect {
    from     = rejects
    at_least = 1000
  }
}
