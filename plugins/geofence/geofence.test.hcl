test "a trailer enters, stays, moves on and leaves" {
  config = {
    areas = [
      { name = "depot", ring = [[8.0, 47.0], [8.1, 47.0], [8.1, 47.1], [8.0, 47.1]] },
      { name = "customer", center = [8.5, 47.3], radius = 500 },
    ]
  }
  rows   = <<-EOT
    _key  _time                 lon     lat
    t1    2026-01-01T00:00:00Z  7.9     47.05
    t1    2026-01-01T00:01:00Z  8.05    47.05
    t2    2026-01-01T00:01:30Z  8.05    47.05
    t1    2026-01-01T00:03:00Z  8.06    47.09
    t1    2026-01-01T00:04:00Z  8.5001  47.3001
    t1    2026-01-01T00:09:00Z  9       47
  EOT
  expect = <<-EOT
    area      event  left      dwell
    -         -      -         -
    depot     enter  -         0
    depot     enter  -         0
    depot     -      -         120
    customer  move   depot     0
    -         exit   customer  300
  EOT
}

test "the edge of a ring that is not convex" {
  config = { areas = [{ name = "L", ring = [[0, 0], [4, 0], [4, 1], [1, 1], [1, 4], [0, 4], [0, 0]] }] }
  rows   = <<-EOT
    _key  _time  lon  lat
    a     1      0.5  3.5
    b     1      3.5  0.5
    c     1      2    2
    d     1      5    0.5
  EOT
  expect = <<-EOT
    area
    L
    L
    -
    -
  EOT
}

test "a position that jumps for a row moves nobody" {
  config = { settle = 2, areas = [{ name = "yard", ring = [[0, 0], [1, 0], [1, 1], [0, 1]] }] }
  rows   = <<-EOT
    _key  _time     lon  lat
    t1    0         0.5  0.5
    t1    1000000   0.5  0.5
    t1    2000000   7    7
    t1    3000000   0.5  0.5
    t1    4000000   7    7
    t1    5000000   7    7
  EOT
  expect = <<-EOT
    area  event  dwell
    -     -      -
    yard  enter  1
    yard  -      2
    yard  -      3
    yard  -      4
    -     exit   4
  EOT
}

test "what is no position is refused" {
  config  = { areas = [] }
  rows    = <<-EOT
    _key  _time  lon  lat
    t1    1      -    47
    t1    1      8    91
    t1    -      8    47
  EOT
  rejects = <<-EOT
    _row  reason
    0     "there is no position between -90 and 90 north, -180 and 180 east"
    1     "there is no position between -90 and 90 north, -180 and 180 east"
    2     "there is no time"
  EOT
}
