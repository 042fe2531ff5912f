variable "data" {
  help    = "Folder with train_FD001.txt of NASA's turbofan data set, as it is in CMAPSSData.zip."
  default = ""
}

variable "out" {
  help    = "Folder for the results."
  default = "out"
}
