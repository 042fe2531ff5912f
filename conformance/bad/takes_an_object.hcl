ingest "http" "an_object" {
  to     = channel.c
  listen = "127.0.0.1:8080"
  tokens = "a" # ERROR: tokens takes an object; this is a string
}
channel "c" {
}
