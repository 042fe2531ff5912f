// Package tidemill is the guest side of Tidemill's plugin ABI, for plugins written in Go. The
// contract below it is sdk/ABI.md.
//
//	package main
//
//	import "example/tidemill"
//
//	func init() { tidemill.EachRow(plugin, row) } // plugin stands in plugin.go, made from plugin.hcl by `tidemill plugin build`
//	func main() {}
//
//	func row(r *tidemill.Row) {
//		if r.IsNull(ReadTemp) {
//			r.Reject("there is no temperature")
//			return
//		}
//		mean := r.StateNumber(StateMean)
//		*mean += (r.Number(ReadTemp) - *mean) / 10
//		r.SetNumber(WriteOver, *mean-tidemill.ConfigNumber("limit", 3))
//	}
//
// enrich and score: a row has one answer; what is not set is null. transform and decode: Emit begins
// an output row; a row without one is dropped.
//
// Whole columns at once, for speed: EachBatch, Row.Numbers, Row.Valid, Row.OutNumbers.
//
// Package variables last until the instance ends, which may be at any time: what has to last longer is
// state. No map's order may show in what goes out. A panic fails the row, not the pipeline.
//
// Imports: nothing
package tidemill
