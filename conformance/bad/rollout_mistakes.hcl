channel "c" {
}

rollout "none" { # ERROR: A rollout says on how many devices it begins
  plugin = plugin.nobody # ERROR: plugin takes the name of a plugin block
  canary = plugin.nobody # ERROR: There is no block plugin.nobody
}

rollout "all_at_once" {
  plugin     = plugin.nobody # ERROR: plugin takes the name of a plugin block
  fleet      = fleet.lab # ERROR: fleet takes the name of a fleet block
  canary     = "sha256:1" # ERROR: canary takes sha256: and 64 hex digits
  percent    = 250 # ERROR: percent goes from 0 to 100; this is 250
  differ     = 0.1 # WARNING: Rows are compared in shadow only
  error_rate = 7 # ERROR: error_rate goes from 0 to 1; this is 7
  min_rows   = 0 # ERROR: min_rows goes from 1
  bake       = "5" # ERROR: has no unit
  bake_by    = "moon" # ERROR: bake_by takes "clock" or "event"
  fuel       = -4 # ERROR: fuel goes from 1
  p99        = 5 # ERROR: p99 takes a duration
}
