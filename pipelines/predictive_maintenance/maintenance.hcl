# Turbofan engines as devices: 100 engines run from new until they fail, a row a
# flight, in NASA's simulation. The health index says how much of an engine's last 125 flights
# is left; alarms warn before it is nothing. The index was fitted to engines 1 to 70
# alone, and conformance/maintenance says how it does on engines 71 to 100.

channel "engines" {
  key        = engine
  time       = time_from(cycle * 86400, "s") # a flight a day
  partitions = 4

  schema = {
    engine = string
    cycle  = integer
    s2     = number # temperature behind the low pressure compressor, R
    s3     = number # behind the high pressure compressor, R
    s4     = number # behind the low pressure turbine, R
    s7     = number # pressure behind the high pressure compressor, psia
    s11    = number # static pressure there, psia
    s12    = number # fuel flow over that pressure
    s15    = number # bypass ratio
    s17    = number # bleed enthalpy
    s20    = number # coolant bleed of the high pressure turbine, lbm/s
    s21    = number # of the low pressure turbine, lbm/s
  }
}

ingest "file" "recorded" {
  enabled   = var.data != ""
  to        = channel.engines
  path      = "${var.data}/train_FD001.txt"
  format    = "csv"
  separator = " "
  columns = [
    "engine", "cycle", "altitude", "mach", "throttle", "s1", "s2", "s3", "s4",
    "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
    "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "end1",
    "end2" # each line ends with two spaces
  ]
}

pipeline "maintenance" {
  from = channel.engines

  # 1 is as good as new, 0 is the end: least squares over the engines that may be known.
  rule "health" {
    set = {
      health = (
        0.6879 -
        0.05251 * (s2 - 642.68) -
        0.00516 * (s3 - 1590.53) -
        0.00500 * (s4 - 1408.86) +
        0.01855 * (s7 - 553.38) -
        0.18159 * (s11 - 47.54) +
        0.02499 * (s12 - 521.42) -
        0.98631 * (s15 - 8.44) -
        0.02416 * (s17 - 393.21) +
        0.15538 * (s20 - 38.82) +
        0.28301 * (s21 - 23.29)
      )
    }
  }

  # One flight's index is noisy; five flights' mean is not.
  window "tumbling" "five" {
    from  = rule.health
    by    = [engine]
    every = "5d"
    emit = {
      cycle  = last(cycle)
      health = avg(health)
      lowest = min(health)
    }
  }

  # Plan the overhaul: for weeks, not for one bad stretch.
  alarm "worn" {
    from     = window.five
    by       = [engine]
    when     = health < 0.55
    for      = "10d"
    severity = "warning"
    with     = [cycle, health]
  }

  # Do not start it again without a look.
  alarm "failing" {
    from     = window.five
    by       = [engine]
    when     = health < 0.35
    severity = "critical"
    with     = [cycle, health]
  }

  # What needs no engine that failed before: an engine's index leaves its own level.
  anomaly "rcf" "leaving" {
    from      = rule.health
    by        = [engine]
    on        = [health]
    warm_up   = 50
    quiet     = 20
    threshold = 3
    trees     = 30
  }

  alarm "leaving" {
    from     = anomaly.leaving
    by       = [engine]
    when     = grade > 0
    severity = "info"
    with     = [health, score]
  }

  sink "file" "health" {
    from = window.five
    path = "${var.out}/health.ndjson"
  }

  sink "file" "alarms" {
    from = [alarm.worn, alarm.failing, alarm.leaving]
    path = "${var.out}/alarms.ndjson"
  }

  sink "stdout" "show" {
    from   = alarm.failing
    format = "table"
  }

  sink "file" "rejects" {
    path = "${var.out}/rejects.ndjson"
  }
  rejects = sink.rejects
}
