test "a table that stands elsewhere is there" {
  rows {
    to    = channel.c
    table = <<-EOT
      at  device  v
      0s  a       1
    EOT
  }
  expect {
    from  = enrich.rooms
    table = <<-EOT
      device  room
      a       cellar
    EOT
  }
}
