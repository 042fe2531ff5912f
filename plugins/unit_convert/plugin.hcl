name     = "unit_convert"
version  = "1.0.0"
kind     = enrich
language = assemblyscript
help     = "A value in another unit: temperature, pressure, length, mass, speed, volume, flow, energy, power, angle, time."

reads = {
  value = { type = number, required = true }
  unit  = { type = string, help = "the value's unit, when rows differ; else the argument from" }
}

writes = {
  converted = { type = number, nullable = true, help = "null where value is" }
}

config = {
  from = { type = string, default = "", help = "the unit of value where the row has none; UCUM's names and usual ones" }
  to   = { type = string, required = true, help = "the unit wanted" }
}
