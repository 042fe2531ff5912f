channel "no_time" {
  clock { # ERROR: Event time is receive time where a channel has no time argument.
    behind = "1d"
  }
}
channel "no_key" {
  time = ts
  clock {
    correct_skew = true # ERROR: A clock is corrected for each key, and the channel has none.
    skew         = "1s" # ERROR: An argument named "skew" is not expected here.
  }
}
channel "rules" {
  key  = device
  time = ts
  clock {
    tolerance  = "5s"     # ERROR: tolerance is for correct_skew = true.
    far_future = "rejct"  # ERROR: Did you mean "reject"?
    far_past   = "reject" # ERROR: far_past needs behind
  }
}
channel "spans" {
  key  = device
  time = ts
  clock {
    correct_skew = true
    tolerance    = "2d"   # ERROR: tolerance goes from 1s to 1d.
    behind       = "10ms" # ERROR: behind goes from 1s to
    far_past     = ""     # ERROR: far_past is "keep" for the time as the device says it
  }
}
channel "twice" {
  time = ts
  clock {
    behind = "1d"
  }
  clock {} # ERROR: There may be one clock block; the first is on line 34.
}
