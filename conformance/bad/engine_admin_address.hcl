engine {
  admin          = "9464" # ERROR: has no port
  admin_insecure = "no" # ERROR: admin_insecure takes a bool
  admn           = "" # ERROR: Did you mean "admin"?
}
channel "c" {
}
