channel "c" {
  schema = { n = number }
}

ingest "http" "everybody" {
  to     = channel.c
  listen = ":8080" # ERROR: Open to everybody; ":8080" can be reached from other machines.
}
ingest "http" "clear" {
  to     = channel.c
  listen = "0.0.0.0:8080" # ERROR: Secrets in the clear
  tokens = { gateway = "0123456789" }
}
ingest "http" "unknown" {
  to     = channel.c
  listen = "10.0.0.7:8443" # ERROR: Say who may send: tokens, users or a client_ca.
  tls {
    cert = "server.pem"
    key  = "server.key"
  }
}
ingest "http" "short" {
  to     = channel.c
  listen = "127.0.0.1:8080"
  tokens = { gateway = env("SECRET") } # ERROR: that of "gateway" is shorter than 8 characters
}
ingest "http" "address" {
  to     = channel.c
  listen = "http://127.0.0.1:8080" # ERROR: it has a slash; write a host and a port
}
ingest "http" "port" {
  to     = channel.c
  listen = "127.0.0.1" # ERROR: has no port
}
ingest "http" "nowhere" { # ERROR: The argument "listen" is required
  to = channel.c
}
ingest "http" "details" {
  to             = channel.c
  listen         = "127.0.0.1:8080"
  timeout        = 30 # ERROR: timeout takes a duration in double quotes with its unit
  keys           = "1h" # ERROR: keys_for
  max_connection = 5 # ERROR: Did you mean "max_connections"?
  tls = {} # ERROR: tls is a block
}
ingest "http" "ranges" {
  to       = channel.c
  listen   = "127.0.0.1:8080"
  path     = "records/" # ERROR: starts with a slash and has no empty part and no dots: "/records"
  max_body = "1GB" # ERROR: max_body goes from 1KiB to 15MiB.
}
ingest "http" "certificate" {
  to     = channel.c
  listen = "127.0.0.1:8080"
  tls { # ERROR: The argument "key" is required
    cert      = "server.pem"
    client_cs = "ca.pem" # ERROR: Did you mean "client_ca"?
  }
}

pipeline "p" {
  from = channel.c
}
