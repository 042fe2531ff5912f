test "temperatures, whose zeros differ" {
  config = { to = "Cel" }
  rows   = <<-EOT
    value   unit
    32      F
    212     [degF]
    -40     °F
    273.15  K
    21.5    °C
    491.67  rankine
  EOT
  expect = <<-EOT
    converted
    0
    100
    -40
    0
    21.5
    0
  EOT
}

test "the argument from, nulls, and units that do not fit" {
  config  = { from = "psi", to = "bar" }
  rows    = <<-EOT
    value  unit
    14.5   -
    -      -
    1      atm
    1      kg
    1      furlong
  EOT
  expect  = <<-EOT
    _row  converted
    0     0.9997398075094123
    1     -
    2     1.01325
  EOT
  rejects = <<-EOT
    _row  reason
    3     "kg cannot be had in bar"
    4     "the unit is not known: furlong"
  EOT
}

test "speeds" {
  config = { to = "km/h" }
  rows   = <<-EOT
    value  unit
    10     m/s
    60     mph
    10     kn
  EOT
  expect = <<-EOT
    converted
    36
    96.56064
    18.52
  EOT
}
