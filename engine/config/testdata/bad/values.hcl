variable "unset" {} # ERROR: Give it one: --var unset=VALUE, the environment variable TIDEMILL_VAR_unset, or default = ... here.
variable "x" { default = env("NO_SUCH") } # ERROR: The environment variable NO_SUCH is not set
variable "y" { default = evn("SECRET") } # ERROR: There is no function "evn" for constants. Did you mean env?
variable "z" { default = env("SECRET", "x") } # ERROR: env takes 1 argument, found 2.
variable "w" { default = env(3) } # ERROR: env takes a string, found a number.
variable "t" {
  type = text # ERROR: A variable's type is string, number or bool.
}
variable "u" {
  type    = number
  default = "x" # ERROR: The variable takes a number; its default is a string.
}
variable "given" {
  defualt = 3 # ERROR: Did you mean "default"?
}
variable "given" { # ERROR: variable given stands already on line 13.
}
variable "a" { default = "a" + 1 } # ERROR: An operand of arithmetic must be a number; this is a string.
variable "b" { default = 1 / 0 } # ERROR: There is no division by zero.
variable "c" { default = 1e300 * 1e300 } # ERROR: Numbers go from
variable "d" { default = { x = 1, x = 2 } } # ERROR: "x" stands already on line 21.
variable "e" { default = [1, 2][2] } # ERROR: The list has 2 items, numbered from 0.
variable "f" { default = "a${[1]}" } # ERROR: A template takes strings, numbers and bools; this is list.
variable "g" { default = !3 } # ERROR: What ! negates must be a bool; this is a number.
variable "h" { default = 1 ? 2 : 3 } # ERROR: A condition must be a bool; this is a number.
variable "i" { default = { a = 1 }.b } # ERROR: There is no member "b".
variable "j" { default = "abc".x } # ERROR: A string has no members
variable "k" { default = [1, 2][*] } # ERROR: this kind of expression has none
engine {
  checkpoint = env("SECRET") # ERROR: checkpoint takes a duration, such as "5m"; the value of this expression is none.
  tick       = "1ms" # ERROR: tick goes from 10ms to 1h.
  tasks      = 1.5 # ERROR: tasks takes a whole number; this one does not fit.
  queue_rows = "many" # ERROR: queue_rows takes a number; this is a string. Leave the quotes away.
  linger     = null # ERROR: linger takes a duration in double quotes, such as "5m"; this is null.
}
engine {} # ERROR: the engine block stands already
