test "a" {
  answer {
    to = enrich.x
  }
  answer {
    to     = enrich.x
    status = 204
    hang   = true
  }
  answer {
    to     = enrich.x
    status = 42
  }
  answer {
    to     = "enrich.x"
    status = 200
  }
  expect {
    from = rule.all
    rows = 0
  }
}

test "b" {
  answer {
    to   = enrich.x
    body = "[]"
  }
  expect {
    from = rule.all
    rows = 0
  }
}
