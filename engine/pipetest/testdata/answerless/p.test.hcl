test "nothing answered" {
  expect {
    from = enrich.sites
    rows = 0
  }
}

test "not at the start, a wrong name, a wrong column, a wrong type, no file" {
  answer {
    to    = enrich.sites
    at    = "1s"
    table = <<-EOT
      id  lat   open
      1   north true
      2   1.5   1
    EOT
  }
  answer {
    to    = enrich.site
    table = <<-EOT
      id
      1
    EOT
  }
  answer {
    to    = enrich.prices
    table = <<-EOT
      site  prise
      1     2
    EOT
  }
  answer {
    to   = enrich.prices
    file = "tomorrow.csv"
  }
  expect {
    from = enrich.sites
    rows = 0
  }
  fail {
    sink = sink.pages
    for  = "1m"
  }
}

test "a server that is down when the engine starts" {
  answer {
    to     = enrich.sites
    status = 503
  }
  answer {
    to   = enrich.prices
    file = "p.hcl"
  }
  expect {
    from = enrich.sites
    rows = 0
  }
}

test "a server that is too slow when the engine starts" {
  answer {
    to    = enrich.sites
    after = "30s"
    body  = "[]"
  }
  answer {
    to   = enrich.prices
    body = "site,price\n"
  }
  expect {
    from = enrich.sites
    rows = 0
  }
}
