variable "limit" { # ERROR: --var limit=VALUE
}
variable "count" {
  type    = number
  default = "3" # ERROR: The variable takes a number; its default is a string.
}
variable "kind" {
  type = int # ERROR: A variable's type is string, number or bool.
}
