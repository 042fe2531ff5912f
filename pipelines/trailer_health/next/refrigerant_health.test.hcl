test "a sound unit, a weak one, and one that hardly cools" {
  rows   = <<-EOT
    _key   _time                 temp  ambient  setpoint  compressor  door_open
    sound  2026-01-01T00:00:00Z  -18  12  -18  true  -
    sound  2026-01-01T00:10:00Z  -18  12  -18  true  -
    sound  2026-01-01T00:20:00Z  -18  12  -18  false  -
    sound  2026-01-01T00:30:00Z  -18  12  -18  true  -
    sound  2026-01-01T00:40:00Z  -18  12  -18  true  -
    sound  2026-01-01T00:50:00Z  -18  12  -18  false  -
    sound  2026-01-01T01:00:00Z  -18  12  -18  true  -
    sound  2026-01-01T01:10:00Z  -18  12  -18  true  -
    sound  2026-01-01T01:20:00Z  -18  12  -18  false  -
    sound  2026-01-01T01:30:00Z  -18  12  -18  true  -
    sound  2026-01-01T01:40:00Z  -18  12  -18  true  -
    sound  2026-01-01T01:50:00Z  -18  12  -18  false  -
    sound  2026-01-01T02:00:00Z  -18  12  -18  true  -
    weak   2026-01-01T00:00:00Z  -17  12  -18  true  -
    weak   2026-01-01T00:10:00Z  -17  12  -18  true  -
    weak   2026-01-01T00:20:00Z  -17  12  -18  true  -
    weak   2026-01-01T00:30:00Z  -17  12  -18  true  -
    weak   2026-01-01T00:40:00Z  -17  12  -18  true  -
    weak   2026-01-01T00:50:00Z  -17  12  -18  true  -
    weak   2026-01-01T01:00:00Z  -17  12  -18  true  -
    weak   2026-01-01T01:10:00Z  -17  12  -18  true  -
    weak   2026-01-01T01:20:00Z  -17  12  -18  true  -
    weak   2026-01-01T01:30:00Z  -17  12  -18  true  -
    weak   2026-01-01T01:40:00Z  -17  12  -18  true  -
    weak   2026-01-01T01:50:00Z  -17  12  -18  true  -
    weak   2026-01-01T02:00:00Z  -17  12  -18  true  -
    slow   2026-01-01T00:00:00Z  10.0  25  -18  true  -
    slow   2026-01-01T00:10:00Z  9.75  25  -18  true  -
    slow   2026-01-01T00:20:00Z  9.5  25  -18  true  -
    slow   2026-01-01T00:30:00Z  9.25  25  -18  true  -
    slow   2026-01-01T00:40:00Z  9.0  25  -18  true  -
    slow   2026-01-01T00:50:00Z  8.75  25  -18  true  -
    slow   2026-01-01T01:00:00Z  8.5  25  -18  true  -
    slow   2026-01-01T01:05:00Z  15  25  -18  true  true
  EOT
  expect = <<-EOT
    _row  duty                score
    0     -                   -
    1     1                   -
    2     1                   -
    3     0.6573657392833152  -
    4     0.7466257597190672  -
    5     0.8001542356937992  -
    6     0.6573657392833151  -
    7     0.7104852371987853  90.24539623836402
    8     0.7502890359325953  84.27482642829251
    9     0.6573657392833151  98.21332092568454
    10    0.696067987203979   92.40798373758497
    11    0.7276928196120209  87.66425887637868
    12    0.6573657392833151  98.21332092568453
    13    -                   -
    14    1                   -
    15    1                   -
    16    1                   -
    17    1                   -
    18    1                   -
    19    1                   -
    20    1                   44.09090909090908
    21    1                   44.09090909090909
    22    1                   44.09090909090908
    23    1                   44.09090909090908
    24    1                   44.09090909090909
    25    1                   44.09090909090909
    26    -                   -
    27    1                   -
    28    1                   25.000000000000007
    29    1                   25
    30    1                   24.999999999999996
    31    1                   25
    32    1                   25
    33    1                   25
  EOT
}

test "temperatures that cannot be" {
  rows    = <<-EOT
    _key  _time  temp  ambient  setpoint
    t1    1      -     10       -18
    t1    1      400   10       -18
    t1    -      -18   10       -18
  EOT
  rejects = <<-EOT
    _row  reason
    0     "temp, ambient and setpoint are needed"
    1     "a temperature is not between -100 and 100 degrees Celsius"
    2     "there is no time"
  EOT
}
