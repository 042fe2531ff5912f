channel "c" {
  schema = {
    ts    = datetime # ERROR: Did you mean timestamp?
    temp  = float # ERROR: Did you mean number?
    on    = boolean # ERROR: Did you mean bool?
    name  = "string" # ERROR: A type stands without quotes, such as string.
    n     = int # ERROR: Did you mean integer?
    tags  = list # ERROR: A list says what it holds: list(number)
    items = list({ v = number }) # ERROR: add explode = items
    t2    = timestamp("seconds") # ERROR: counts in "s", "ms", "us" or "ns"
    gps.lat = number # ERROR: Write gps = { lat = ... }.
    temp    = number # ERROR: "temp" stands already on line 4.
  }
}
