# The clock of "fast" is 15 minutes ahead and that of "slow" 20 minutes behind. Of both the estimate is there after
# ten rows; until then what is ahead takes the time of receipt. "late" is right, and what it has
# kept over ten minutes changes nothing.
test "clocks are corrected" {
  generate {
    to      = channel.corrected
    devices = 3
    every   = "10s"
    for     = "30m"
    set     = { device = n == 1 ? "fast" : n == 2 ? "slow" : "late", ts = time, n = i }
    skew {
      devices = [1]
      ahead   = "15m"
    }
    skew {
      devices = [2]
      behind  = "20m"
    }
    offline {
      devices = [3]
      at      = "5m"
      for     = "10m"
    }
  }
  expect {
    from  = window.minutes
    table = <<-EOT
      device  window_start            n   least  most  revision
      fast    +0s                     12  0      11    0
      fast    +2m                     12  12     23    0
      fast    +4m                     12  24     35    0
      fast    +6m                     12  36     47    0
      fast    +8m                     12  48     59    0
      fast    +10m                    12  60     71    0
      fast    +12m                    12  72     83    0
      fast    +14m                    12  84     95    0
      fast    +16m                    12  96     107   0
      fast    +18m                    12  108    119   0
      fast    +20m                    12  120    131   0
      fast    +22m                    12  132    143   0
      fast    +24m                    12  144    155   0
      fast    +26m                    12  156    167   0
      fast    +28m                    12  168    179   0
      late    +0s                     12  0      11    0
      late    +2m                     12  12     23    0
      late    +4m                     12  24     35    0
      late    +6m                     12  36     47    0
      late    +8m                     12  48     59    0
      late    +10m                    12  60     71    0
      late    +12m                    12  72     83    0
      late    +14m                    12  84     95    0
      late    +16m                    12  96     107   0
      late    +18m                    12  108    119   0
      late    +20m                    12  120    131   0
      late    +22m                    12  132    143   0
      late    +24m                    12  144    155   0
      late    +26m                    12  156    167   0
      late    +28m                    12  168    179   0
      slow    "2025-12-31T23:40:00Z"  10  0      9     0
      slow    +0s                     2   10     11    0
      slow    +2m                     12  12     23    0
      slow    +4m                     12  24     35    0
      slow    +6m                     12  36     47    0
      slow    +8m                     12  48     59    0
      slow    +10m                    12  60     71    0
      slow    +12m                    12  72     83    0
      slow    +14m                    12  84     95    0
      slow    +16m                    12  96     107   0
      slow    +18m                    12  108    119   0
      slow    +20m                    12  120    131   0
      slow    +22m                    12  132    143   0
      slow    +24m                    12  144    155   0
      slow    +26m                    12  156    167   0
      slow    +28m                    12  168    179   0
    EOT
  }
}

test "clocks are corrected, with crashes" {
  generate {
    to      = channel.corrected
    devices = 3
    every   = "10s"
    for     = "30m"
    set     = { device = n == 1 ? "fast" : n == 2 ? "slow" : "late", ts = time, n = i }
    skew {
      devices = [1]
      ahead   = "15m"
    }
    skew {
      devices = [2]
      behind  = "20m"
    }
    offline {
      devices = [3]
      at      = "5m"
      for     = "10m"
    }
  }
  crash { at = "45s" }
  crash { at = "105s" }
  crash { at = "12m" }
  expect {
    from  = window.minutes
    table = <<-EOT
      device  window_start            n   least  most  revision
      fast    +0s                     12  0      11    0
      fast    +2m                     12  12     23    0
      fast    +4m                     12  24     35    0
      fast    +6m                     12  36     47    0
      fast    +8m                     12  48     59    0
      fast    +10m                    12  60     71    0
      fast    +12m                    12  72     83    0
      fast    +14m                    12  84     95    0
      fast    +16m                    12  96     107   0
      fast    +18m                    12  108    119   0
      fast    +20m                    12  120    131   0
      fast    +22m                    12  132    143   0
      fast    +24m                    12  144    155   0
      fast    +26m                    12  156    167   0
      fast    +28m                    12  168    179   0
      late    +0s                     12  0      11    0
      late    +2m                     12  12     23    0
      late    +4m                     12  24     35    0
      late    +6m                     12  36     47    0
      late    +8m                     12  48     59    0
      late    +10m                    12  60     71    0
      late    +12m                    12  72     83    0
      late    +14m                    12  84     95    0
      late    +16m                    12  96     107   0
      late    +18m                    12  108    119   0
      late    +20m                    12  120    131   0
      late    +22m                    12  132    143   0
      late    +24m                    12  144    155   0
      late    +26m                    12  156    167   0
      late    +28m                    12  168    179   0
      slow    "2025-12-31T23:40:00Z"  10  0      9     0
      slow    +0s                     2   10     11    0
      slow    +2m                     12  12     23    0
      slow    +4m                     12  24     35    0
      slow    +6m                     12  36     47    0
      slow    +8m                     12  48     59    0
      slow    +10m                    12  60     71    0
      slow    +12m                    12  72     83    0
      slow    +14m                    12  84     95    0
      slow    +16m                    12  96     107   0
      slow    +18m                    12  108    119   0
      slow    +20m                    12  120    131   0
      slow    +22m                    12  132    143   0
      slow    +24m                    12  144    155   0
      slow    +26m                    12  156    167   0
      slow    +28m                    12  168    179   0
    EOT
  }
}

test "what is too far off is rejected" {
  rows {
    to    = channel.judged
    table = <<-EOT
      at   device  ts
      0s   a       +0s
      10s  a       +10m
      20s  a       +11m
      2h   a       +59m
      2h   a       +1h
      2h   b       +2h
    EOT
  }
  expect {
    from  = rule.near
    table = <<-EOT
      device  ts    _time
      a       +0s   +0s
      a       +10m  +10m
      a       +1h   +1h
      b       +2h   +2h
    EOT
  }
  expect {
    from  = pipeline.q.rejects
    table = <<-EOT
      stage           reason
      channel.judged  "event time is 10m40s ahead of receive time; the channel takes up to 10m (ahead)"
      channel.judged  "event time is 1h1m behind receive time; the channel takes up to 1h (clock: behind)"
    EOT
  }
}

test "what is too far behind gets the time of receipt" {
  rows {
    to    = channel.taken
    table = <<-EOT
      at   device  ts
      2h   a       +30m
      2h   a       +2h
      3h   a       +3h
    EOT
  }
  expect {
    from  = rule.some
    table = <<-EOT
      device  ts    _time
      a       +30m  +2h
      a       +2h   +2h
      a       +3h   +3h
    EOT
  }
}
