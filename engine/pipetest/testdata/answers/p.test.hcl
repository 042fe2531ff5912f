test "a table, a file, a body" {
  rows {
    to    = channel.c
    table = <<-EOT
      at  device  site
      0s    a       "1"
      0s  b       "2"
    EOT
  }
  answer {
    to    = enrich.sites
    table = <<-EOT
      id  region        lat   since  open   beds
      1   "north sea"   53.5  +1h    true   12
      3   -             -     -      -      -
    EOT
  }
  answer {
    to   = pipeline.q.enrich.prices
    file = "prices.csv"
  }
  expect {
    from  = enrich.sites
    table = <<-EOT
      device  region       lat   since  open  beds
      a       "north sea"  53.5  +1h    true  12
      b       nowhere      -     -      -     -
    EOT
  }
  expect {
    from  = enrich.prices
    table = <<-EOT
      device  price
      a       3.25
    EOT
  }
  expect {
    from = pipeline.q.rejects
    rows = 1
  }
}

# It is asked some seconds past each minute. What comes is used from the tick on at which it is there; when the power has
# failed, from that tick on again.
test "it changes, is slow, hangs, fails, is half there, and comes back" {
  until = "8m"
  rows {
    to    = channel.c
    table = <<-EOT
      at    device  site
      0s    a       "1"
      70s   b       "1"
      72s   c       "1"
      149s  d       "1"
      200s  e       "1"
      290s  f       "1"
      350s  g       "1"
      358s  h       "1"
      385s  i       "1"
    EOT
  }
  answer {
    to    = enrich.sites
    table = <<-EOT
      id  region
      1   first
    EOT
  }
  answer {
    to    = enrich.sites
    at    = "30s"
    after = "10s"
    body  = <<-EOT
      [{"id": "1", "region": "second"}]
    EOT
  }
  answer {
    to   = enrich.sites
    at   = "90s"
    for  = "1m"
    hang = true
  }
  answer {
    to     = enrich.sites
    at     = "170s"
    for    = "1m"
    status = 503
  }
  answer {
    to   = enrich.sites
    at   = "230s"
    for  = "1m"
    body = "[{\"id\": \"1\", \"reg"
  }
  answer {
    to   = enrich.sites
    at   = "290s"
    for  = "1m"
    fail = true
  }
  answer {
    to    = enrich.sites
    at    = "6m"
    table = <<-EOT
      id  region
      2   second
    EOT
  }
  answer {
    to    = enrich.prices
    table = <<-EOT
      site  price
      1     1e1
    EOT
  }
  crash {
    at    = "75s"
    power = true
  }
  expect {
    from  = enrich.sites
    table = <<-EOT
      device  region
      a       first
      b       first
      c       second
      d       second
      e       second
      f       second
      g       second
      h       second
      i       nowhere
    EOT
  }
  expect { # of each of two partitions: no answer, a status, half a body, nobody there
    from   = enrich.sites
    metric = "refresh_failed"
    value  = 8
  }
  expect {
    from   = enrich.prices
    metric = "refresh_failed"
    value  = 0
  }
}
