test "numbers that are none" {
  rows {
    to    = channel.c
    table = <<-EOT
      at   device  ts    a      b
      0s   d       +0s   1      2
      10s  d       +10s  1      0
      20s  d       +20s  0      0
      30s  d       +30s  -1     0
      40s  d       +40s  1e308  1e-308
      50s  d       +50s  -      1
      60s  d       +60s  4      1
      99s  d       +99s  6      2
    EOT
  }
  expect {
    from  = window.minutes
    table = <<-EOT
      device  window_start  n  nx  sum  avg  least  most  middle              kinds  spread              root
      d       +0s           6  1   0.5  0.5  0.5    0.5   0.501539453403326   1      -                   2.5e+153
      d       +1m           2  2   7    3.5  3      4     2.9742334234767003  2      0.7071067811865476  2.224744871391589
    EOT
  }
  expect {
    from  = window.slides
    table = <<-EOT
      device  window_start            n  sum  most
      d       "2025-12-31T23:59:00Z"  6  0.5  0.5
      d       +0s                     8  7.5  4
      d       +1m                     2  7    4
    EOT
  }
  expect {
    from = rejects
    rows = 0
  }
}

# Every record is a minute older than the one before, and the last is of today: each counts where it belongs.
test "time that runs backwards" {
  rows {
    to    = channel.c
    table = <<-EOT
      at   device  ts    a  b
      10m  d       +9m   1  1
      10m  d       +8m   2  1
      11m  d       +7m   3  1
      12m  d       +6m   4  1
      13m  d       +13m  5  1
    EOT
  }
  expect {
    from  = window.minutes
    table = <<-EOT
      device  window_start  n  sum  revision  final
      d       +6m           1  4    0         true
      d       +7m           1  3    0         true
      d       +8m           1  2    0         true
      d       +9m           1  1    0         true
      d       +13m          1  5    0         true
    EOT
  }
  expect {
    from  = window.sessions
    table = <<-EOT
      device  window_start  window_end  n  most  revision
      d       +6m           +18m        5  5     0
    EOT
  }
}
