test "a table beside the pipeline is there, also after a power cut" {
  rows {
    to    = channel.c
    table = <<-EOT
      at  device  v
      0s  a       1
      9s  b       2
    EOT
  }
  crash {
    at    = "5s"
    power = true
  }
  expect {
    from  = enrich.rooms
    table = <<-EOT
      device  room
      a       cellar
      b       unknown
    EOT
  }
}
