channel "telemetry" {
  key    = device
  time   = ts
  schema = { ts = timestamp, device = string, temp = number, ms = integer, day = string }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "p" {
  from = channel.telemetry

  window "tumbling" "w" {
    by    = [device]
    every = "5m"
    emit = {
      a = average(temp)         # ERROR: There is no function "average". Did you mean avg?
      b = median(temp) * 2      # ERROR: percentile(x, 50)
      c = cnt()                 # ERROR: Did you mean count?
      d = max(temp) - topkk(ms) # ERROR: topk
      e = percentile(temp, 0.95) # WARNING: Write 95 for the part 0.95
      g = averge(temp)     # ERROR: There are argmax, argmin, avg,
      f = clmp(temp, 0, 1) # ERROR: Did you mean clamp?
    }
  }
}
