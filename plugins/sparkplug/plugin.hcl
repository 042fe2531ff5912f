name     = "sparkplug"
version  = "1.0.0"
kind     = decode
language = rust
flags    = ["-C", "opt-level=s"]
help     = "Sparkplug B: a row for each metric of NBIRTH, NDATA, DBIRTH, DDATA, NCMD and DCMD, one for each NDEATH and DDEATH."
max_rows = 1024

writes = {
  group      = { type = string, help = "from the topic spBv1.0/group/type/edge/device" }
  type       = { type = string, help = "NBIRTH, NDATA, NDEATH, DBIRTH, DDATA, DDEATH, NCMD or DCMD" }
  edge       = { type = string }
  device     = { type = string, nullable = true, help = "null for messages of the edge node itself" }
  seq        = { type = integer, nullable = true, help = "sequence number of the payload, 0 to 255" }
  name       = { type = string, nullable = true, help = "of the metric; null where the payload has only its alias" }
  alias      = { type = integer, nullable = true, help = "of the metric, as the birth certificate gave it" }
  datatype   = { type = string, nullable = true, help = "such as Int32 or Double; null in DATA messages that leave it out" }
  time       = { type = timestamp, nullable = true, help = "of the metric, or else of the payload" }
  number     = { type = number, nullable = true, help = "the value of numbers, and of DateTime in ms since 1970" }
  truth      = { type = bool, nullable = true }
  text       = { type = string, nullable = true, help = "String, Text, UUID; bytes and others in hex" }
  historical = { type = bool, help = "kept while the edge node was offline" }
}
