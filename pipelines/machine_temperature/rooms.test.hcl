# Tests of rooms.hcl: what comes twice passes once, what comes in a muddle is put in order, hours know their
# rooms, and two kinds of readings find each other.

# What would go back behind a reading that has gone on is rejected; 99 comes late too, and still finds its place.
test "readings pass once, in order of their times" {
  rows {
    to    = channel.gateways
    table = <<-EOT
      at   device          ts          data.temp
      0s   iot-device-01   1767225600  20
      10s  iot-device-01   1767225630  22
      20s  iot-device-01   1767225620  21
      30s  iot-device-01   1767225630  22
      3m   iot-device-01   1767225780  25
      4m   iot-device-01   1767225660  99
      5m   iot-device-01   1767225610  98
      70m  iot-device-01   1767229800  30
      71m  iot-device-01   1767225600  20
    EOT
  }
  crash {
    at    = "25s"
    power = true
  }
  expect {
    from    = order.in_time
    ordered = true
    table   = <<-EOT
      device         _time   data.temp
      iot-device-01  +0s     20
      iot-device-01  +20s    21
      iot-device-01  +30s    22
      iot-device-01  +1m     99
      iot-device-01  +3m     25
      iot-device-01  +1h10m  30
    EOT
  }
  expect {
    from  = pipeline.gateway_rooms.rejects
    table = <<-EOT
      stage                                 reason
      pipeline.gateway_rooms.order.in_time  "late: a later row of its key has gone out already; bound says how long rows wait"
    EOT
  }
}

test "hours know their rooms" {
  rows {
    to    = channel.gateways
    table = <<-EOT
      at   device          ts          data.temp  data.co
      0s   iot-device-01   1767225600  20         0.004
      10s  iot-device-01   1767225630  22         0.009
      10s  iot-device-01   1767225630  22         0.009
      20s  iot-device-02   1767225620  10         0.004
      40s  nobody          1767225640  5          0.004
      70m  iot-device-01   1767229800  30         0.004
    EOT
  }
  crash { at = "30m" }
  expect {
    from  = enrich.rooms
    table = <<-EOT
      device         window_start  n  temp_avg  co_max  room           floor  heated
      iot-device-01  +0s           2  21        0.009   cellar         -1     false
      iot-device-01  +1h           1  30        0.004   cellar         -1     false
      iot-device-02  +0s           1  10        0.004   "hall, north"  0      true
      nobody         +0s           1  5         0.004   unknown        -      -
    EOT
  }
}

# Smoke counts with motion from 30 s before it to 10 s after it, of the same gateway.
test "smoke beside motion" {
  rows {
    to    = channel.gateways
    table = <<-EOT
      at    device  ts          data.motion  data.smoke
      0s    g1      1767225600  false        0.03
      20s   g1      1767225620  true         0.01
      35s   g2      1767225625  false        0.04
      36s   g1      1767225630  false        0.02
      40s   g1      1767225631  false        0.05
      100s  g1      1767225700  true         0.01
      101s  g2      1767225701  true         0.025
      90m   g1      1767231000  false        0.01
      90m   g2      1767231000  false        0.01
    EOT
  }
  crash { at = "50s" }
  expect {
    from  = join.motion_and_smoke
    table = <<-EOT
      device  smoke  smoke_at
      g1      0.02   +30s
      g1      0.03   +0s
      g2      0.025  +1m41s
    EOT
  }
  expect {
    from  = window.pairs
    table = <<-EOT
      device  window_start  pairs  smoke_avg  smoke_max
      g1      +0s           2      0.025      0.03
      g2      +0s           1      0.025      0.025
    EOT
  }
}
