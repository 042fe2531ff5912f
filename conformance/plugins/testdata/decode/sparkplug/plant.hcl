variable "listen" {
  default = "tcp://127.0.0.1:1883"
}

plugin "sparkplug" { source = "sparkplug.wasm" }

channel "plant" {
  key    = edge # a level of the topic: payloads need not be read to find a partition
  time   = time
  decode = plugin.sparkplug
}

ingest "mqtt" "plant" {
  to     = channel.plant
  listen = var.listen
  topic  = ["spBv1.0/{group}/{type}/{edge}", "spBv1.0/{group}/{type}/{edge}/{device}"]
}

pipeline "readings" {
  from = channel.plant
  rule "numbers" {
    where  = number != null && type != "NBIRTH"
    select = [edge, device, name, alias, number, time]
  }
  window "tumbling" "minute" {
    from  = rule.numbers
    by    = [edge, alias]
    every = "1m"
    emit  = { n = count(), highest = max(number) }
  }
  sink "file" "numbers" {
    from = rule.numbers
    path = "numbers.ndjson"
  }
  sink "file" "minutes" {
    from = window.minute
    path = "minutes.ndjson"
  }
  sink "file" "rejects" { path = "rejects.ndjson" }
  rejects = sink.rejects
}
