# Payloads made with the schema of Eclipse Tahu's sparkplug_b.proto.

test "a birth certificate" {
  rows   = <<-EOT
    topic                      payload
    spBv1.0/plant/NBIRTH/gw7   hex:0880d095ffbc3112230a144e6f646520436f6e74726f6c2f5265626972746810001880d095ffbc31200b7000121a0a0454656d7010011880d095ffbc31200a6900000000004032c012180a054c6576656c10021880d095ffbc31200350f9ffffff0f121d0a05436f756e7410031880d095ffbc31200458fbffffffffffffffff01121b0a054c6162656c10041880d095ffbc31200c7a0770756d7020c3bc12150a0352617710051880d095ffbc3120118a010200ff12130a04476f6e6510061880d095ffbc31200938011800
  EOT
  expect = <<-EOT
    _row  group  type    edge  device  seq  name                    alias  datatype  time                  number  truth  text      historical
    0     plant  NBIRTH  gw7   -       0    "Node Control/Rebirth"  0      Boolean   2023-11-14T22:13:20Z  -       false  -         false
    0     plant  NBIRTH  gw7   -       0    Temp                    1      Double    2023-11-14T22:13:20Z  -18.25  -      -         false
    0     plant  NBIRTH  gw7   -       0    Level                   2      Int32     2023-11-14T22:13:20Z  -7      -      -         false
    0     plant  NBIRTH  gw7   -       0    Count                   3      Int64     2023-11-14T22:13:20Z  -5      -      -         false
    0     plant  NBIRTH  gw7   -       0    Label                   4      String    2023-11-14T22:13:20Z  -       -      "pump ü"  false
    0     plant  NBIRTH  gw7   -       0    Raw                     5      Bytes     2023-11-14T22:13:20Z  -       -      00ff      false
    0     plant  NBIRTH  gw7   -       0    Gone                    6      Float     2023-11-14T22:13:20Z  -       -      -         false
  EOT
}

test "data by alias, and a death" {
  rows   = <<-EOT
    topic                           payload
    spBv1.0/plant/DDATA/gw7/pump1   hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801
    spBv1.0/plant/DDEATH/gw7/pump1  hex:08d0df95ffbc31
  EOT
  expect = <<-EOT
    _row  type    device  seq  name  alias  datatype  time                    number  historical
    0     DDATA   pump1   1    -     1      -         2023-11-14T22:13:21Z    4.5     false
    0     DDATA   pump1   1    -     2      Int32     2023-11-14T22:13:20.5Z  9       true
    1     DDEATH  pump1   -    -     -      -         2023-11-14T22:13:22Z    -       false
  EOT
}

test "what is no Sparkplug B is refused" {
  rows    = <<-EOT
    topic                           payload
    spBv1.0/plant/DDATA/gw7/pump1   hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003
    spBv1.0/plant/DDATA/gw7         hex:08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801
    spBv1.0/plant/STATE/gw7         hex:00
    dt/site/pump1                   hello
    spBv1.0/plant/NDATA/gw7         hello
  EOT
  rejects = <<-EOT
    _row  reason
    0     "the payload ends in the middle of a field"
    1     "the topic is not spBv1.0/GROUP/TYPE/EDGE[/DEVICE]"
    2     "the topic has no type of Sparkplug B: NBIRTH, NDATA, NDEATH, NCMD, DBIRTH, DDATA, DDEATH or DCMD"
    3     "the topic is not spBv1.0/GROUP/TYPE/EDGE[/DEVICE]"
    4     "it is no Sparkplug B payload"
  EOT
}
