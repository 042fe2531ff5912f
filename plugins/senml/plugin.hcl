name     = "senml"
version  = "1.0.0"
kind     = decode
language = c
flags    = ["-Os"]
help     = "Sensor Measurement Lists (RFC 8428), as JSON and as CBOR: a row for each record, with names and times resolved."
max_rows = 1024

writes = {
  name  = { type = string, help = "base name and name" }
  unit  = { type = string, nullable = true }
  value = { type = number, nullable = true, help = "v, with the base value added" }
  text  = { type = string, nullable = true, help = "vs; or vd, in base64url" }
  truth = { type = bool, nullable = true, help = "vb" }
  sum   = { type = number, nullable = true, help = "s, with the base sum added" }
  time  = { type = timestamp, nullable = true, help = "when it was measured; null when ago says it" }
  ago   = { type = number, nullable = true, help = "seconds before now, for times that are relative" }
  every = { type = number, nullable = true, help = "ut: seconds until the next value at the latest" }
}
