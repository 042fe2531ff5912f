plugin "senml" { source = "senml.wasm" }

channel "sensors" {
  key        = name # stands in the payload, so that there is one partition
  partitions = 1
  time       = coalesce(time, _received - ago) # a pack without a clock says how long ago
  decode     = plugin.senml
  schema     = { name = string, unit = string, value = number, time = timestamp, ago = number }
}

ingest "file" "capture" {
  to     = channel.sensors
  path   = "capture.hex" # as mosquitto_sub -F '%t %x' writes it
  format = "hex"
}

ingest "file" "packs" {
  to     = channel.sensors
  path   = "packs.ndjson" # a pack a line
  format = "ndjson"
}

pipeline "readings" {
  from = channel.sensors
  window "count" "pairs" {
    by   = [name]
    size = 2
    emit = { n = count(), highest = max(value) }
  }
  sink "file" "readings" {
    from = channel.sensors
    path = "readings.ndjson"
  }
  sink "file" "pairs" {
    from = window.pairs
    path = "pairs.ndjson"
  }
  sink "file" "rejects" { path = "rejects.ndjson" }
  rejects = sink.rejects
}
