variable "out" {
  help    = "Folder for the results."
  default = "out"
}
