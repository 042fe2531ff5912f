// Package transformwasm is the stage that runs a plugin over rows:
//
//	plugin "reefer_health" {
//	  source       = "reefer_health.wasm"
//	  fuel_per_row = 1000000            # instructions; likewise memory, deadline, log_limit, host_calls
//	  config       = { limit = 3 }
//	}
//
//	transform "wasm" "health" {
//	  from    = rule.plausible
//	  plugin  = plugin.reefer_health
//	  columns = { temp = data.temperature }   # plugin's name = column; those of the same name need none
//	  by      = [device]                      # whose state; default: the channel's key
//	  out     = { health = number }           # optional: what it must write, whatever version runs
//	}
//
// What the plugin does with a row decides its kind: enrich and score add columns, transform
// makes rows of rows. Rows that it refuses, and rows at which it fails, go to rejects.
//
// # Which _index do the rows of one row have?
//
// A plugin with max_rows = n gives its rows _index * n + 0, 1, 2 ..., so that
// sinks that tell rows apart by _offset and _index do so still.
//
// # Which version of the plugin runs?
//
// The plugin block's, until the journal's control records say otherwise for the devices of a fleet (rollout):
// a batch is split by version (split.go), each part runs with tables of its place (version.go), and what
// comes out is put back in order of row. In shadow both run, and differences are kept (shadow.go). A version that
// cannot run has its rows rejected, since a replay must not go on with another.
//
// # Why does the stage want all columns decoded?
//
// A version that comes later, or a fleet's selector, may read others than the first.
//
// # How does a plugin decode payloads?
//
// A channel with `decode = plugin.NAME` has this stage before its first row, where JSON would be read otherwise:
// its input are records as they came (decode.NewRaw), its output are the channel's rows, with the columns from the
// topic and those that the plugin writes. All else is the same: versions, trials, rejects, limits.
//
// Imports: flow, config, expr, env, decode, stage, state, wasm, device, rollout
//
// Not here: how a plugin is called and limited (wasm), which version a device's rows
// get. Start with args.go.
package transformwasm
