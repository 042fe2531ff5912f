# What the gateways say, with what a table knows of where they stand; and readings of smoke beside
# readings of motion. Rows pass once, in order of their times.

pipeline "gateway_rooms" {
  from = channel.gateways

  dedupe "once" {
    within = "24h"
  }

  order "in_time" {
    from  = dedupe.once
    bound = "1m"
  }

  window "tumbling" "hour" {
    from  = order.in_time
    by    = [device]
    every = "1h"
    emit = {
      temp_avg = avg(data.temp)
      co_max   = max(data.co)
      n        = count()
    }
  }

  enrich "file" "rooms" {
    from    = window.hour
    path    = "rooms.csv"
    by      = [device]
    columns = { device = string, room = string, floor = integer, heated = bool }
    default = { room = "unknown" }
  }

  rule "moving" {
    where = data.motion
  }

  rule "smoky" {
    where = data.smoke > 0.019
  }

  join "interval" "motion_and_smoke" {
    from   = [rule.moving, rule.smoky]
    by     = [device]
    before = "30s"
    after  = "10s"
    grace  = "1m"
    keep   = [device]
    take   = { smoke = data.smoke, smoke_at = _time }
    wait   = "24h"
  }

  window "tumbling" "pairs" {
    from  = join.motion_and_smoke
    by    = [device]
    every = "1h"
    emit = {
      pairs     = count()
      smoke_avg = avg(smoke)
      smoke_max = max(smoke)
    }
  }

  sink "file" "rooms" {
    from = enrich.rooms
    path = "${var.out}/gateway_rooms.ndjson"
  }

  sink "file" "pairs" {
    from = window.pairs
    path = "${var.out}/gateway_pairs.ndjson"
  }
}
