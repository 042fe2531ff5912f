channel "c" {}
from = channel.c # ERROR: "from" stands in no block.
rule "x" { # ERROR: It belongs into a pipeline
  where = true
}
chanel "d" {} # ERROR: There is no block "chanel" at the top of a file. Did you mean channel?
channel {} # ERROR: channel takes one label: channel "name" { ... }
ingest "file" { # ERROR: ingest takes two labels: ingest "type" "name" { ... }
  to = channel.c
}
engine "x" {} # ERROR: engine takes no label: engine { ... }
channel "two words" {} # ERROR: Did you mean "two_words"?
channel "c" {} # ERROR: channel.c stands already on line 1.
channel "7up" {} # ERROR: Not a name
