// Package alarm is the stage that watches a condition, key by key, and emits
// one row for each change of state, "raised" or "cleared":
//
//	alarm "too_warm" {
//	  by    = [device]
//	  when  = over > 3
//	  for   = "5m"
//	  clear = over < 2
//	  with  = [temp, setpoint]
//	}
//
//	alarm "silent" {
//	  by     = [device]
//	  absent = "10m"
//	}
//
// # A condition in time
//
// A row says how things stand from its event time on, until the next row of the key says
// otherwise. The alarm is raised when `when` has been true for `for`, and
// cleared when `clear` has been true for `clear_for`:
//
//	when     false   true                  true             false   true
//	rows  ----x-------x---------------------x----------------x-------x------>
//	                  since                 |                |
//	                  |<------- for ------->| at = since + for: raised
//
// The column `since` is when the condition began, `at` when the state changed.
// A row for which the condition is null changes nothing, though time goes on.
// A row that is older than the latest one of its key changes nothing
// (counter "out_of_order"). The row of a clock that is further ahead than its channel allows counts with the
// time it has, and makes none behind it old: one row from 2099 does not silence an alarm.
//
// The time that `for` waits for is event time of the key: it has come when a
// row of the key is as late, or when its watermark is, though rows were
// filtered out: told by the key's next row, or before it by a clock tick or the
// end of a bounded input, with the same `since` and `at`. A device that falls
// silent while the condition is true is waited for; `absent` tells of the silence.
//
// # Absence
//
// With `absent`, the alarm is raised at the first clock tick at which the journal has
// had no row of a key for that long, and cleared by the key's next row. Keys that
// never sent a row are not known. since is when the last row (raised) or the
// next one (cleared) was received, and at is the tick (raised) or equals since (cleared).
//
// # State
//
//	table keys: one slot a key
//	  state i64*7   0 cleared or 1 raised | since, NoMark: condition is not met | event time of the latest row |
//	                its _received | _offset | _index | highest watermark known
//	  slot  u32*2   _slot | 1 once filled in
//	  with  bytes   the `with` values of the latest row that met the condition
//
// Questions: Why are keys never forgotten? An alarm that is raised must be
// cleared by name, whenever that is; a key costs about 150 bytes, and their number has a limit.
//
// Imports: flow, config, expr, state, stage
//
// Not here: who is told (sinks), what a key is (stage/keyed.go). Start with
// args.go, then alarm.go.
package alarm
