// Package enrich is the stages that look rows up in a table which stands outside:
//
//	enrich "file" "sites" {
//	  path    = "sites.csv"                       # csv, ndjson, json or parquet
//	  by      = [site]                            # columns of the rows; with = [id], if the file calls it so
//	  columns = { id = string, region = string, lat = number }
//	  refresh = "1m"
//	  missing = "reject"                          # or null (default), drop, default with default = { ... }
//	}
//
//	enrich "http" "prices" { url = "https://example.com/prices.json" ... }
//
// # What if the file is half written, or the server hangs?
//
// Then the table stays what it was, the failure is counted (refresh_failed) and reported: once until
// the reason changes or the table can be had again, by the first partition, though each of them counts it: each looks at a file, and a server is asked
// once for all, also while one configuration takes over from another. At the very first start there is no table, and
// the stage does not open. A text has to end with a line end, so that half a last line is not taken for a whole one.
//
// Each partition uses what the server said from a tick of its own journal on, and keeps its own log of versions below: a partition can be
// replayed without the others. One that lags gets a table when it comes to the tick after the answer, at whatever time of its own that is.
//
// A table that is asked for is used from the tick on at which it is there, however long the server took within timeout. A test beside
// a pipeline answers in its place (stage.Opening.Ask), by the time of the ticks.
//
// # Does a replay see the same table?
//
// Yes, where the data folder is: each version of the table is written there before its first use, with the
// tick of the journal from which on it is used, and a stage that comes to that tick again takes that version
// and does not look outside. A checkpoint holds which version is in use. `tidemill replay` reads these versions where history lies, from the
// one that was in use when its piece of history begins, and asks neither file nor server for anything; of a stage of which no
// version is kept there, such as one that a what-if adds, it says that the table is taken as it is now. An engine
// with another data folder starts with the table as it is then, and is not exact. Who wants history that replays
// everywhere brings the table into a channel and uses join "latest".
//
// Where path or url names another place, the table is taken from there at once, and what the place before said is not used again. A stage that
// was away begins with the first version of its place, and has the newest that it knows from its first tick on.
//
//	enrich/ADDRESS.PARTITION/
//	  versions     a line a version: tick, us | digest of what was read | digest of where that was
//	  DIGEST       what was read, byte by byte
//
// Imports: flow, config, expr, env, parquet, state, stage, carry
//
// Not here: tables that come through a channel (stages/join), lookups of one key at a time over a network: a
// row would have to wait for an answer. Start with args.go, then versions.go.
package enrich
