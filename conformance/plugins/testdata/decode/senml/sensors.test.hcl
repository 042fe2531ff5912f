# The packs of RFC 8428, sections 5.1.2 and 6, and one that is none.

test "CBOR and JSON side by side, and a crash between them" {
  rows {
    to    = channel.sensors
    table = <<-EOT
      at  payload
      0s  "[{\"bn\":\"urn:dev:ow:10e2073a0108006:\",\"bt\":1.276020076001e+09,\"bu\":\"A\",\"bver\":5,\"n\":\"voltage\",\"u\":\"V\",\"v\":120.1},{\"n\":\"current\",\"t\":-5,\"v\":1.2},{\"n\":\"current\",\"t\":-4,\"v\":1.3}]"
      1s  hex:8401
      2s  hex:84a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a200626f6e04f5a2006372617708486869207468657265
      3s  "{\"n\":\"a\"}"
    EOT
  }
  crash {
    at = "2s"
  }
  expect {
    from  = channel.sensors
    table = <<-EOT
      _index  name                                unit  value  time
      0       urn:dev:ow:10e2073a0108006:voltage  V     120.1  2010-06-08T18:01:16.001Z
      1       urn:dev:ow:10e2073a0108006:current  A     1.2    2010-06-08T18:01:11.001Z
      2       urn:dev:ow:10e2073a0108006:current  A     1.3    2010-06-08T18:01:12.001Z
      0       urn:dev:ow:10e2073a0108006:voltage  V     120.1  2010-06-08T18:01:16.001Z
      1       urn:dev:ow:10e2073a0108006:current  A     1.2    2010-06-08T18:01:11.001Z
      2       urn:dev:ow:10e2073a0108006:on       A     -      2010-06-08T18:01:16.001Z
      3       urn:dev:ow:10e2073a0108006:raw      A     -      2010-06-08T18:01:16.001Z
    EOT
  }
  expect {
    from  = window.pairs
    table = <<-EOT
      name                                n  highest
      urn:dev:ow:10e2073a0108006:current  2  1.3
      urn:dev:ow:10e2073a0108006:voltage  2  120.1
      urn:dev:ow:10e2073a0108006:current  1  1.2
      urn:dev:ow:10e2073a0108006:on       1  -
      urn:dev:ow:10e2073a0108006:raw      1  -
    EOT
  }
  expect {
    from  = rejects
    table = <<-EOT
      stage            row
      channel.sensors  "hex:8401"
      channel.sensors  "{\"n\":\"a\"}"
    EOT
  }
}
