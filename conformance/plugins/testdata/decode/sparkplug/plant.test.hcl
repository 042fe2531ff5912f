# Payloads made with the schema of Eclipse Tahu's sparkplug_b.proto.

test "a row for each metric, and each has its place" {
  rows {
    to    = channel.plant
    table = <<-EOT
      at  topic                           payload
      0s  spBv1.0/plant/NBIRTH/gw7        hex:0880d095ffbc3112230a144e6f646520436f6e74726f6c2f5265626972746810001880d095ffbc31200b7000121a0a0454656d7010011880d095ffbc31200a6900000000004032c012180a054c6576656c10021880d095ffbc31200350f9ffffff0f121d0a05436f756e7410031880d095ffbc31200458fbffffffffffffffff01121b0a054c6162656c10041880d095ffbc31200c7a0770756d7020c3bc12150a0352617710051880d095ffbc3120118a010200ff12130a04476f6e6510061880d095ffbc31200938011800
      1s  spBv1.0/plant/DDATA/gw7/pump1   hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801
      2s  spBv1.0/plant/DDATA/gw8/pump1   hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801
      3s  spBv1.0/plant/DDEATH/gw7/pump1  hex:08d0df95ffbc31
    EOT
  }
  crash {
    at = "2s"
  }
  expect {
    from  = rule.numbers
    table = <<-EOT
      _index  edge  device  alias  number  time
      0       gw7   pump1   1      4.5     2023-11-14T22:13:21Z
      1       gw7   pump1   2      9       2023-11-14T22:13:20.5Z
      0       gw8   pump1   1      4.5     2023-11-14T22:13:21Z
      1       gw8   pump1   2      9       2023-11-14T22:13:20.5Z
    EOT
  }
  expect {
    from  = channel.plant
    table = <<-EOT
      edge  type    name                    datatype  text
      gw7   NBIRTH  "Node Control/Rebirth"  Boolean   -
      gw7   NBIRTH  Temp                    Double    -
      gw7   NBIRTH  Level                   Int32     -
      gw7   NBIRTH  Count                   Int64     -
      gw7   NBIRTH  Label                   String    "pump ü"
      gw7   NBIRTH  Raw                     Bytes     00ff
      gw7   NBIRTH  Gone                    Float     -
      gw7   DDATA   -                       -         -
      gw7   DDATA   -                       Int32     -
      gw8   DDATA   -                       -         -
      gw8   DDATA   -                       Int32     -
      gw7   DDEATH  -                       -         -
    EOT
  }
}

test "a payload that is none costs itself alone" {
  rows {
    to    = channel.plant
    table = <<-EOT
      topic                          payload
      spBv1.0/plant/DDATA/gw7/pump1  hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003
      spBv1.0/plant/DDATA/gw7/pump1  hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801
      spBv1.0/plant/DDATA/gw7/pump1  hello
    EOT
  }
  expect {
    from  = rule.numbers
    table = <<-EOT
      _index  number
      0       4.5
      1       9
    EOT
  }
  expect {
    from  = rejects
    table = <<-EOT
      stage          field  row
      channel.plant  -      "hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003"
      channel.plant  -      hello
    EOT
  }
}
