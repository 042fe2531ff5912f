channel "c" {}
pipeline "p" {
  from = channel.c
  rule "a" {
    where = temp > 3
      && temp < 4 # ERROR: Expression over two lines; An expression ends with its line. Put it in parentheses
  }
  rule "b" {
    where = temp > 3 && # ERROR: Unfinished expression; An expression ends with its line.
      temp < 4
  }
  rule "c" {
    where = (temp > 3
      && temp < 4)
  }
  rule "d" {
    where = (a > 3 # ERROR: Bracket left open
  }
  rule "e" {
    where = f(a, b # ERROR: Bracket left open
  }
  rule "f" {
    where = [a, b # ERROR: Bracket left open
  }
  rule "g" {
    set = {
      a = 1
      b = 2 c = 3 # ERROR: Found "c" where
    }
  }
  rule "h" {
    set = { a b } # ERROR: Missing
  }
  window "tumbling" "i" {
    emit = { n = count(*) } # ERROR: Rows are counted by count() without a star.
  }
}
