channel "telemetry" {}
channel "other" {}
ingest "file" "a" {
  to = channel.telemetri # ERROR: There is no channel.telemetri. Did you mean channel.telemetry?
}
ingest "file" "b" {
  to = rule.x # ERROR: An ingest feeds a channel
}
ingest "file" "c" { # ERROR: An ingest says which channel it feeds: to = channel.other
  from = channel.telemetry # ERROR: An ingest reads from the world
}
ingest "file" "d" {
  to = "telemetry" # ERROR: A reference stands without quotes: to = channel.telemetry
}
ingest "file" "a" { # ERROR: ingest.a stands already on line 3.
  to = channel.other
}
pipeline "p" {
  from = channel.telemetry
  rule "plausible" {
    where = true
  }
  rule "a" {
    from = rule.plausibel # ERROR: There is no rule.plausibel. Did you mean rule.plausible?
  }
  rule "b" {
    from = "rule.plausible" # ERROR: A reference stands without quotes: from = rule.plausible
  }
  rule "c" {
    from = plausible # ERROR: A reference has two parts, a kind and a name; "plausible" is one. Did you mean rule.plausible?
  }
  rule "d" {
    from = rule.plausible.temp # ERROR: Did you mean rule.plausible?
  }
  rule "e" {
    from = rules.plausible # ERROR: There is nothing of kind "rules". Did you mean rule.plausible?
  }
  rule "f" {
    from = window.plausible # ERROR: There is no window.plausible. Did you mean rule.plausible?
  }
  rule "g" {
    from = sink.s # ERROR: Nothing comes out of sink.s: it is a sink. Read what it reads instead. It reads rule.plausible.
  }
  rule "h" {
    from = channel.other # ERROR: This pipeline reads channel.telemetry. Write another pipeline for channel.other.
  }
  rule "i" {
    from = [] # ERROR: from names at least one stage or channel.
  }
  rule "j" {
    from = [rule.plausible, rule.plausible] # ERROR: rule.plausible stands in this list already.
  }
  rule "k" {
    from = 3 + 4 # ERROR: from takes a reference without quotes
  }
  rule "l" {
    from = "plausible" # ERROR: A reference stands without quotes: from = rule.plausible
  }
  rule "m" {
    from = alarm.zzzzzz # ERROR: There is no alarm.zzzzzz. There is channel.other
  }
  sink "stdout" "s" {
    from = rule.plausible
  }
  rule "plausible" { # ERROR: rule.plausible stands already on line 20.
    where = true
  }
  rejects = rule.plausible # ERROR: Rejected rows go to a sink; rule.plausible is none. There is sink.s.
}
pipeline "p2" { # ERROR: A pipeline says which channel it reads: from = channel.other
}
pipeline "p3" {
  from = rule.x # ERROR: There is no rule.x. There is channel.other, channel.telemetry.
}
pipeline "p4" {
  from    = [channel.telemetry] # ERROR: A pipeline reads one channel; write a pipeline for each.
  rejects = sink.quarantine # ERROR: There is no sink.quarantine.
}
pipeline "p5" {
  from = rule.own # ERROR: A pipeline reads a channel; rule.own is a stage.
  rule "own" {
    from = channel.telemetry
  }
  colour = 1 # ERROR: An argument named "colour" is not expected here.
  wimdow "tumbling" "x" {} # ERROR: There is no block "wimdow" in a pipeline. Did you mean window?
  channel "x" {} # ERROR: It stands at the top of a file, outside of pipelines.
  window "x" {} # ERROR: window takes two labels: window "type" "name" { ... }
  rule = 3 # ERROR: rule is a block: write rule ... { ... } without the equals sign.
}
pipeline "p" { # ERROR: pipeline.p stands already
}
