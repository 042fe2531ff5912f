// Package rule is the stage that keeps, computes and names columns, row by row:
//
//	rule "plausible" {
//	  where  = temp > -60 && temp < 80
//	  set    = { over = temp - setpoint, warm = over > 3 }
//	  rename = { celsius = temp }
//	  remove = [debug]
//	}
//
// What it does, in this order:
//
//	where   keeps the rows for which the expression is true; null drops a row, as in SQL
//	set     computes columns, in the order written; later ones see earlier ones.
//	        A new name stands at the end, an old one is replaced where it stands
//	rename  new = old, the names as they are after set
//	select  keeps these columns only, in this order, by their names after rename
//	remove  leaves these columns out, by their names after rename
//
// Metadata columns always travel on. Rows are never split, joined or moved.
//
// Imports: flow, config, expr, stage
//
// Not here: expressions (expr), compaction (flow/take.go), watermarks of dropped
// rows (run). Start with args.go.
package rule
