# The packs of RFC 8428, sections 5.1.1, 5.1.2, 5.1.4 and 6.

test "single datapoint" {
  rows   = <<-EOT
    topic  payload
    a/b    "[{\"n\":\"urn:dev:ow:10e2073a01080063\",\"u\":\"Cel\",\"v\":23.1}]"
  EOT
  expect = <<-EOT
    _row  name                          unit  value  text  truth  sum  time  ago  every
    0     urn:dev:ow:10e2073a01080063   Cel   23.1   -     -      -    -     0    -
  EOT
}

test "base fields hold until they change" {
  rows   = <<-EOT
    payload
    "[{\"bn\":\"urn:dev:ow:10e2073a0108006:\",\"bt\":1.276020076001e+09,\"bu\":\"A\",\"bver\":5,\"n\":\"voltage\",\"u\":\"V\",\"v\":120.1},{\"n\":\"current\",\"t\":-5,\"v\":1.2},{\"n\":\"current\",\"t\":-4,\"v\":1.3}]"
  EOT
  expect = <<-EOT
    _row  name                                   unit  value  time
    0     urn:dev:ow:10e2073a0108006:voltage     V     120.1  2010-06-08T18:01:16.001Z
    0     urn:dev:ow:10e2073a0108006:current     A     1.2    2010-06-08T18:01:11.001Z
    0     urn:dev:ow:10e2073a0108006:current     A     1.3    2010-06-08T18:01:12.001Z
  EOT
}

test "all kinds of values" {
  rows   = <<-EOT
    payload
    "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\",\"bv\":10,\"bs\":1,\"n\":\"temp\",\"u\":\"Cel\",\"v\":23.1,\"s\":2,\"ut\":60},{\"n\":\"label\",\"vs\":\"Machine \\u00fc\"},{\"n\":\"open\",\"vb\":false},{\"n\":\"nfc\",\"vd\":\"aGkgCg\",\"other\":[{\"deep\":[1,2]}]}]"
  EOT
  expect = <<-EOT
    name                               value  text         truth  sum  every
    urn:dev:ow:10e2073a01080063:temp   33.1   -            -      3    60
    urn:dev:ow:10e2073a01080063:label  -      "Machine ü"  -      -    -
    urn:dev:ow:10e2073a01080063:open   -      -            false  -    -
    urn:dev:ow:10e2073a01080063:nfc    -      aGkgCg       -      -    -
  EOT
}

test "CBOR: the RFC's own bytes" {
  rows   = <<-EOT
    payload
    hex:87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333
  EOT
  expect = <<-EOT
    name                                unit  value  time
    urn:dev:ow:10e2073a0108006:voltage  V     120.1  2010-06-08T18:01:16.001Z
    urn:dev:ow:10e2073a0108006:current  A     1.2    2010-06-08T18:01:11.001Z
    urn:dev:ow:10e2073a0108006:current  A     1.3    2010-06-08T18:01:12.001Z
    urn:dev:ow:10e2073a0108006:current  A     1.4    2010-06-08T18:01:13.001Z
    urn:dev:ow:10e2073a0108006:current  A     1.5    2010-06-08T18:01:14.001Z
    urn:dev:ow:10e2073a0108006:current  A     1.6    2010-06-08T18:01:15.001Z
    urn:dev:ow:10e2073a0108006:current  A     1.7    2010-06-08T18:01:16.001Z
  EOT
}

test "CBOR: truth and data" {
  rows   = <<-EOT
    payload
    hex:84a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a200626f6e04f5a2006372617708486869207468657265
  EOT
  expect = <<-EOT
    name                                unit  value  text         truth
    urn:dev:ow:10e2073a0108006:voltage  V     120.1  -            -
    urn:dev:ow:10e2073a0108006:current  A     1.2    -            -
    urn:dev:ow:10e2073a0108006:on       A     -      -            true
    urn:dev:ow:10e2073a0108006:raw      A     -      aGkgdGhlcmU  -
  EOT
}

test "a pack with a mistake gives no rows" {
  rows    = <<-EOT
    payload
    "[{\"n\":\"a\",\"v\":1},{\"v\":2}]"
    "[{\"n\":\"a\",\"v\":1,\"vs\":\"x\"}]"
    "[{\"n\":\"a b\",\"v\":1}]"
    "[{\"n\":\"a\",\"v\":1,\"fancy_\":2}]"
    "[{\"n\":\"a\",\"v\":1}"
    hex:8401
    hex:5b7b226e223a2261222c227673223a22ff227d5d
    hello
    "[{\"bver\":11,\"n\":\"a\",\"v\":1}]"
  EOT
  rejects = <<-EOT
    _row  reason
    0     "a record has no name"
    1     "a record has more than one value"
    2     "a name has other characters than letters, digits and -:./_"
    3     "a field ends with _ and is not known: it must be understood"
    4     "it is no SenML in JSON"
    5     "a record is a map"
    6     "it is not UTF-8"
    7     "it is no SenML: neither a JSON list nor a CBOR array"
    8     "bver is over 10, which is another format"
  EOT
}
