name     = "refrigerant_health"
version  = "2.0.0"
kind     = enrich
language = c
help     = "How well a refrigeration unit cools: duty cycle of its compressor and speed of pull-down, against what its load explains."

reads = {
  temp       = { type = number, required = true, help = "of the cooled space, degrees Celsius" }
  ambient    = { type = number, required = true, help = "outside, degrees Celsius" }
  setpoint   = { type = number, required = true, help = "degrees Celsius" }
  compressor = { type = bool, help = "whether it runs; where it is null that is told from the temperature" }
  door_open  = { type = bool, help = "rows with an open door say nothing of the unit" }
  _time      = { type = timestamp, help = "event time" }
}

writes = {
  duty      = { type = number, nullable = true, help = "share of time that the compressor runs, 0 to 1, smoothed" }
  expected  = { type = number, nullable = true, help = "the share that the load explains" }
  pull_down = { type = number, nullable = true, help = "degrees an hour by which it cools when it has to, smoothed" }
  score     = { type = number, nullable = true, help = "100: as a sound unit; under 60: refrigerant, belt or condenser should be looked at; null until it has run long enough" }
}

state {
  version = 1
  columns = {
    last      = { type = integer, help = "time of the last row that counted, us" }
    temp      = { type = number, help = "its temperature" }
    hours     = { type = number, help = "observed" }
    duty      = { type = number, help = "smoothed share of time" }
    weight    = { type = number, help = "of duty: 0 to 1" }
    pull      = { type = number, help = "smoothed pull-down" }
    pulled    = { type = number, help = "weight of pull: 0 to 1" }
    expected  = { type = number }
    running   = { type = integer, help = "1: the compressor ran at the last row" }
  }
}

config = {
  full_load = { type = number, default = 55, help = "degrees between ambient and temperature at which a sound unit runs without a pause" }
  pull_down = { type = number, default = 6, help = "degrees an hour by which a sound unit cools when it is 3 degrees and more above its setpoint" }
  memory    = { type = number, default = 6, help = "hours over which is smoothed" }
  gap       = { type = number, default = 0.5, help = "hours without a row after which the time between counts for nothing" }
}
