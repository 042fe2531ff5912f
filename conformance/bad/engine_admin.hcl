engine {
  admin = ":9464" # ERROR: ":9464" can be reached from other machines
}
channel "c" {
}
