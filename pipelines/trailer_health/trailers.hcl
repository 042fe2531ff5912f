# How well the refrigeration units of trailers cool, and at which depots they stand. Two plugins do the work, and
# a new version of one of them is on trial with the pilots.

plugin "geofence" {
  source = "../../plugins/geofence/geofence.wasm"
  config = {
    areas = [
      { name = "hamburg", center = [9.99, 53.55], radius = 5000 },
      { name = "rotterdam", center = [4.48, 51.92], radius = 5000 },
      { name = "lyon", center = [4.84, 45.76], radius = 5000 },
    ]
    settle = 2 # positions jump
  }
}

plugin "health" {
  source = "../../plugins/refrigerant_health/refrigerant_health.wasm"
  config = { memory = 3 }
}

# The version on trial: the same in C, which costs a third.
plugin "health_next" {
  source = "next/refrigerant_health.wasm"
}

# Pilots are the trailers of one site, and whoever the registry says is one:
#   tidemill device set trailer-00042 pilot=yes
fleet "pilot" {
  where = site == "hamburg" || registry.pilot == "yes"
}

# To go on with when the pilots have done well: tidemill plugin rollout rest --plugin health --fleet rest ...
fleet "rest" {
  where = !(site == "hamburg" || coalesce(registry.pilot, "no") == "yes")
}

# First the new version runs in its shadow and has to say the same, then with a quarter of the pilots, and
# then with all of them. Where a guardrail breaks, it is rolled back by itself.
rollout "pilot_health" {
  plugin  = plugin.health
  fleet   = fleet.pilot
  canary  = plugin.health_next
  shadow  = true
  percent = 25

  differ     = 0.001 # share of rows
  error_rate = 0.001
  min_rows   = 500
  bake       = "30m"
  bake_by    = "event"
}

channel "telemetry" {
  key       = device
  time      = ts
  retention = "7d"
  schema = {
    device    = string
    ts        = timestamp
    site      = string
    lat       = number
    lon       = number
    temp      = number # of the cargo, degrees Celsius
    setpoint  = number
    ambient   = number
    door_open = bool
  }
}

ingest "mqtt" "trailers" {
  enabled = var.input == ""
  to      = channel.telemetry
  listen  = var.listen
  topic   = "dt/{site}/{asset_type}/{device}/telemetry"
}

ingest "file" "recorded" {
  enabled = var.input != ""
  to      = channel.telemetry
  path    = var.input != "" ? var.input : "none"
  follow  = var.follow
}

pipeline "trailers" {
  from = channel.telemetry

  # What a broken probe says is no temperature. A plugin would refuse such rows, and that counts against
  # a version on trial.
  rule "plausible" {
    where = temp > -60 && temp < 80
  }

  transform "wasm" "place" {
    from   = rule.plausible
    plugin = plugin.geofence
  }

  transform "wasm" "health" {
    from   = transform.place
    plugin = plugin.health
    out    = { duty = number, expected = number, score = number } # what every version has to write
  }

  # Arrivals and departures.
  rule "visits" {
    from   = transform.place
    where  = event != null
    select = [device, ts, event, area, left, dwell]
  }

  # How each unit has done, hour by hour.
  window "tumbling" "hourly" {
    from  = transform.health
    by    = [device]
    every = "1h"
    emit  = { site = last(site), area = last(area), duty = last(duty), score = last(score), n = count() }
  }

  # A depot is where something can be done about it.
  alarm "weak_unit" {
    from     = transform.health
    by       = [device]
    when     = score < 60 && area != null
    for      = "10m"
    severity = "warning"
    with     = [site, area, score, duty, expected]
  }

  sink "file" "visits" {
    from = rule.visits
    path = "${var.out}/visits.ndjson"
  }

  sink "file" "hourly" {
    from = window.hourly
    path = "${var.out}/hourly.ndjson"
  }

  sink "file" "alarms" {
    from = alarm.weak_unit
    path = "${var.out}/alarms.ndjson"
  }

  sink "file" "rejects" {
    path = "${var.out}/rejects.ndjson"
  }
  rejects = sink.rejects
}
