name     = "rul"
version  = "1.0.0"
kind     = score
language = c
flags    = ["-Os"]
help     = "Remaining useful life of a turbofan engine in cycles, 125 at most: one row a cycle, keyed by engine. See README.md for how good it is."

reads = {
  cycle = { type = number, help = "cycles since the engine was new; where it is null, rows are counted" }
  s2    = { type = number, required = true, help = "T24, total temperature at the low-pressure compressor's outlet, R" }
  s3    = { type = number, required = true, help = "T30, at the high-pressure compressor's outlet, R" }
  s4    = { type = number, required = true, help = "T50, at the low-pressure turbine's outlet, R" }
  s7    = { type = number, required = true, help = "P30, total pressure at the high-pressure compressor's outlet, psia" }
  s8    = { type = number, required = true, help = "Nf, fan speed, rpm" }
  s9    = { type = number, required = true, help = "Nc, core speed, rpm" }
  s11   = { type = number, required = true, help = "Ps30, static pressure at the high-pressure compressor's outlet, psia" }
  s12   = { type = number, required = true, help = "phi, fuel flow to Ps30, pps/psi" }
  s13   = { type = number, required = true, help = "NRf, corrected fan speed, rpm" }
  s14   = { type = number, required = true, help = "NRc, corrected core speed, rpm" }
  s15   = { type = number, required = true, help = "BPR, bypass ratio" }
  s17   = { type = number, required = true, help = "htBleed, bleed enthalpy" }
  s20   = { type = number, required = true, help = "W31, high-pressure turbine's coolant bleed, lbm/s" }
  s21   = { type = number, required = true, help = "W32, low-pressure turbine's coolant bleed, lbm/s" }
}

writes = {
  rul = { type = number, help = "cycles left" }
}

state {
  version = 1
  columns = {
    rows  = { type = integer }
    fast  = { type = bytes, max = 112, help = "14 sensors, smoothed over about 5 rows" }
    slow  = { type = bytes, max = 112, help = "and over about 25" }
    wfast = { type = number, help = "weight of fast: 0 to 1" }
    wslow = { type = number }
  }
}
