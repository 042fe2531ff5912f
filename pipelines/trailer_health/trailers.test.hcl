# tidemill test pipelines/trailer_health, once the plugins are built

test "a visit to a depot" {
  rows {
    to    = channel.telemetry
    table = <<-EOT
      at   device  ts    site       lat    lon    temp  setpoint  ambient  door_open
      0s   t1      +0s   rotterdam  53.0   9.0    -18   -18       20       false
      1m   t1      +1m   rotterdam  53.55  9.99   -18   -18       20       false
      2m   t1      +2m   rotterdam  53.55  9.99   -18   -18       20       false
      30m  t1      +30m  rotterdam  53.55  9.98   -18   -18       20       true
      40m  t1      +40m  rotterdam  53.2   9.98   -18   -18       20       false
      41m  t1      +41m  rotterdam  53.0   9.98   -18   -18       20       false
    EOT
  }
  expect {
    from  = rule.visits
    table = <<-EOT
      device  ts    event  area     left     dwell
      t1      +2m   enter  hamburg  -        60
      t1      +41m  exit   -        hamburg  2340
    EOT
  }
  expect {
    from = rejects
    rows = 0
  }
}

# The unit of t1 warms up although it runs without a pause; t2 is sound. Both are pilots, so that two versions
# judge them, one in the shadow of the other and then in its place.
test "a weak unit at its depot, in both versions" {
  generate {
    to      = channel.telemetry
    devices = 2
    every   = "1m"
    for     = "4h"
    set = {
      device   = "t${n}", ts = time, site = "hamburg", lat = 53.55, lon = 9.99, door_open = false
      setpoint = -18, ambient = 20
      temp     = n == 1 ? -10 + t / 7200 : -18 + sin(t / 600)
    }
  }
  crash {
    at = "100m"
  }
  expect {
    from  = alarm.weak_unit
    table = <<-EOT
      device  state   area
      t1      raised  hamburg
    EOT
  }
  expect {
    from = rejects
    rows = 0
  }
}

test "what makes no sense is rejected by whichever version runs" {
  rows {
    to    = channel.telemetry
    table = <<-EOT
      device  ts   site       lat    lon   temp  setpoint  ambient  door_open
      t1      +0s  hamburg    53.55  9.99  -18   -18       20       false
      t1      +1m  hamburg    53.55  9.99  777   -18       20       false
      t1      +2m  hamburg    53.55  9.99  -18   -18       777      false
      t2      +0s  rotterdam  99     9.99  -18   -18       20       false
      t3      +0s  rotterdam  53.55  9.99  -18   -18       777      false
    EOT
  }
  expect {
    from  = rejects
    table = <<-EOT
      stage
      pipeline.trailers.transform.place
      pipeline.trailers.transform.health
      pipeline.trailers.transform.health
    EOT
  }
}
