channel "c" {
  key    = devcie # ERROR: has no field "devcie". Did you mean "device"?
  schema = { device = string, temp = number }
}
