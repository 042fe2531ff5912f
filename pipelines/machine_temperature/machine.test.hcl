# Tests of the machine and of the gateways: tidemill test pipelines/machine_temperature

# It cools down slowly: the alarm waits for half an hour below 60, and for 70 to be over.
test "a machine that stands still" {
  generate {
    to    = channel.machine
    every = "5m"
    for   = "6h"
    set   = { timestamp = time, value = t < 7200 ? 90 : (t < 14400 ? 50 : 85) }
  }
  expect {
    from  = alarm.cold
    table = <<-EOT
      at       state
      +2h30m   raised
      +4h      cleared
    EOT
  }
  expect {
    from  = window.hourly
    table = <<-EOT
      window_start  n   value_avg  celsius_avg
      +0s           12  90         32.2222222222
      +1h           12  90         32.2222222222
      +2h           12  50         10
      +3h           12  50         10
      +4h           12  85         29.4444444444
      +5h           12  85         29.4444444444
    EOT
  }
  expect {
    from = alarm.hot
    rows = 0
  }
}

test "too hot, and a reading that cannot be" {
  rows {
    to    = channel.machine
    table = <<-EOT
      at   timestamp  value
      0s   +0s        100
      5m   +5m        106
      10m  +10m       999
      15m  +15m       107
      20m  +20m       104
    EOT
  }
  expect {
    from  = alarm.hot
    table = <<-EOT
      at    state
      +15m  raised
      +20m  cleared
    EOT
  }
  expect {
    from = rule.celsius
    rows = 4
  }
}

# The times of an hour come twice when a clock is set back: the windows take both
# readings, and say so in a revision where the first result has gone out.
test "a clock that was set back" {
  rows {
    to    = channel.machine
    table = <<-EOT
      at    timestamp  value
      0m    +0m        80
      30m   +30m       90
      65m   +65m       100
      70m   +40m       100
      130m  +130m      80
    EOT
  }
  expect {
    from  = window.hourly
    table = <<-EOT
      window_start  n  value_avg  revision  final
      +0s           2  85         0         true
      +0s           3  90         1         true
      +1h           1  100        0         true
      +2h           1  80         0         true
    EOT
  }
}

test "smoke at one gateway" {
  rows {
    to     = channel.gateways
    ndjson = <<-EOT
      {"device":"g1","ts":1767225600,"data":{"humidity":50,"temp":20,"smoke":0.01,"co":0.004}}
      {"device":"g1","ts":1767225630,"data":{"humidity":50,"temp":20,"smoke":0.03,"co":0.009}}
      {"device":"g2","ts":1767225630,"data":{"humidity":50,"temp":21,"smoke":0.01,"co":0.004}}
      {"device":"g1","ts":1767225700,"data":{"humidity":50,"temp":20,"smoke":0.03,"co":0.009}}
      {"device":"g1","ts":1767225720,"data":{"humidity":101,"temp":20,"smoke":0.05,"co":0.009}}
      {"device":"g1","ts":1767225730,"data":{"humidity":50,"temp":20,"smoke":0.01,"co":0.004}}
    EOT
  }
  expect {
    from  = alarm.smoke
    table = <<-EOT
      device  at      state
      g1      +1m30s  raised
      g1      +2m10s  cleared
    EOT
  }
  expect {
    from = pipeline.gateways.rule.plausible
    rows = 5
  }
}

# What comes late revises its minute, and with it the hour and the day, whose lowest value it is.
test "a reading that comes an hour late" {
  generate {
    to    = channel.gateways
    every = "1m"
    for   = "3h"
    set = {
      device          = "g1"
      ts              = 1767225600 + t
      "data.temp"     = 10 + t / 3600
      "data.humidity" = 40
    }
  }
  rows {
    to    = channel.gateways
    table = <<-EOT
      at       device  ts          data.temp  data.humidity
      +2h10m5s g1      1767229205  1          40
    EOT
  }
  expect {
    from     = pipeline.gateway_hours.window.hour
    contains = true
    table    = <<-EOT
      device  window_start  temp_min  n   minutes  revision
      g1      +1h           11        60  60       0
      g1      +1h           1         61  60       1
    EOT
  }
  expect {
    from  = window.day
    table = <<-EOT
      device  window_start  temp_min  n    minutes  hours
      g1      +0s           1         181  180      3
    EOT
  }
}

# Minutes become hours and hours days, also when the process dies on the way.
test "a day of a gateway, minute by minute" {
  generate {
    to    = channel.gateways
    every = "1m"
    for   = "24h"
    set = {
      device          = "g1"
      ts              = 1767225600 + t
      "data.temp"     = 10 + t / 8640
      "data.humidity" = 40
    }
  }
  crash {
    at    = "11h"
    power = true
  }
  expect {
    from  = window.day
    table = <<-EOT
      device  window_start  temp_min  n     minutes  hours
      g1      +0s           10        1440  1440     24
    EOT
  }
}
