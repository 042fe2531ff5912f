channel "a" {
  schema = {
    ts    = datetime # ERROR: There is no type "datetime". Did you mean timestamp?
    temp  = float # ERROR: There is no type "float". Did you mean number?
    n     = intger # ERROR: Did you mean integer?
    s     = "string" # ERROR: A type stands without quotes, such as string.
    t2    = timestamp("min") # ERROR: A timestamp given as a number counts in "s", "ms", "us" or "ns"
    tags  = list # ERROR: A list says what it holds: list(number)
    many  = list(list(number)) # ERROR: A list holds numbers
    objs  = list({ v = number }) # ERROR: A list of objects has no columns unless its items become rows: add explode = objs
    gps.lat = number # ERROR: Write gps = { lat = ... }.
    "a.b" = number # ERROR: The name of a field has no dots
    temp  = number # ERROR: "temp" stands already on line 4.
    five  = 5 # ERROR: A field has a type
    d     = decimal(10) # ERROR: There is no type "decimal". Did you mean number?
    b     = bool(1) # ERROR: bool takes nothing in parentheses.
    o     = {} # ERROR: An object in a schema names at least one member.
    _time = timestamp # ERROR: _time is a column that every row has
    x     = [number] # ERROR: A field has a type
    v     = list(number, string) # ERROR: list takes one type
    str   = text # ERROR: Did you mean string?
  }
}
channel "b" {
  schema = "ts" # ERROR: A schema is an object of names and types
}
channel "c" {
  schema = {} # ERROR: Leave schema away to learn
}
