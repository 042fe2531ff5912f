channel "c" {
  schema = { device = string, n = number }
}
ingest "file" "in" {
  to   = channel.c
  path = "in.ndjson"
}
pipeline "p" {
  from = channel.c

  sink "http" "nowhere" { # ERROR: The argument "url" is required
  }
  sink "http" "scheme" {
    url = "example.com/hook" # ERROR: url begins with http:// or https://.
  }
  sink "http" "password" {
    url = "https://user:${env("SECRET")}@example.com/" # ERROR: A password stands in a header
  }
  sink "http" "clear" {
    url     = "http://example.com/" # WARNING: Over http:// everybody on the way
    headers = { Authorization = env("SECRET") }
  }
  sink "http" "headers" {
    url     = "https://example.com/"
    headers = { "X Team" = "a" } # ERROR: "X Team" cannot be the name of a header.
  }
  sink "http" "weak" {
    url    = "https://example.com/"
    secret = env("SECRET") # ERROR: secret is shorter than 8 characters.
  }
  sink "http" "body" {
    url  = "https://example.com/"
    body = { text = "${devise} is warm", value = n + device } # ERROR: device # ERROR: number
  }
  sink "http" "number" {
    url  = "https://example.com/"
    body = n # ERROR: body
  }
  sink "http" "ranges" {
    url        = "https://example.com/"
    method     = "GET" # ERROR: There are: POST, PUT, PATCH.
    batch_rows = 0 # ERROR: batch_rows goes from 1 to 100000; this is 0.
    timeout    = "1h" # ERROR: timeout goes from 100ms to 10m.
    format     = "ndjsn" # ERROR: Did you mean "ndjson"?
  }
  sink "http" "names" {
    url   = "https://example.com/"
    batch = 5 # ERROR: batch
  }
}
