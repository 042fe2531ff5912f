channel "c" {}
pipeline "p" {
  from = channel.c
  rule "a" {
    where = temp > 3 and door # ERROR: "and" is not an operator. Write &&.
  }
  rule "b" {
    where = not door # ERROR: "not" is not an operator. Write !.
  }
  rule "c" {
    where = a = b # ERROR: To compare, write ==.
  }
  rule "d" {
    where = a <> b # ERROR: There is no operator <>. Write !=.
  }
  rule "e" {
    where = a === b # ERROR: There is no operator ===. Write ==.
  }
  rule "f" {
    where = a is null # ERROR: Write == null or != null.
  }
  rule "g" {
    where = a & b # ERROR: Did you mean boolean AND ("&&")?
  }
  rule "h" {
    where = x ?? y # ERROR: Write coalesce(a, b).
  }
  rule "i" {
    where = a ** 2 # ERROR: There is no operator **. Write pow(a, b).
  }
  rule "j" {
    where = temp > 5m # ERROR: Number with a unit; A number has no unit. A duration or a size is a text: "5m".
  }
  rule "k" {
    where = temp in [1, 2] # ERROR: "in" is not an operator.
  }
  rule "l" {
    where = !door, # ERROR: Unexpected comma after argument
  }
  rule "m" {
    where = temp between 1 and 2 # ERROR: Write x >= 1 && x <= 2.
  }
  rule "n" {
    where = a ^ b # ERROR: There is no operator ^. Write pow(a, b).
  }
  rule "o" {
    where = a ? b # ERROR: Missing false expression in conditional
  }
  rule "p" {
    where = a => b # ERROR: There is no operator =>. Write >=
  }
  rule "q" {
    where = # ERROR: Missing value; There is no value after the equals sign.
  }
  rule "r" {
    where = x == "abc # ERROR: Unclosed string
  }
  rule "s" {
    where = x > 3; # ERROR: The ";" character is not valid.
  }
  rule "t" {
    where = site == 'x' # ERROR: Single quotes are not valid. Use double quotes
  }
  rule "u" {
    where = site == “x” # ERROR: Write straight double quotes.
  }
  rule "v" {
    where = temp setpoint # ERROR: Found "setpoint" where an operator or the end of the expression belongs.
  }
  rule "w" {
    where = temp > / 3 # ERROR: Found "/" where a value belongs.
  }
  rule "x" {
    where = .5 < temp # ERROR: Write 0.5.
  }
}
