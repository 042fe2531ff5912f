package window

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// makeRoom is Process for a batch whose keys the table of groups has no room for. Groups without panes wait for the next tick, and a
// second of refused rows may be more of them than there is room for. So the rows go in one by one, and what waits is forgotten at the
// row that finds the table full: that is the same row however batches were cut. A row whose key no table takes is rejected. The table's error,
// explained, comes back where nothing waits, as of counts and states never does.
func (w *window) makeRoom(rows arrow.RecordBatch, out flow.Emitter) error {
	for i := range int(rows.NumRows()) {
		if err := w.placeAlone(rows, i, out); err != nil {
			return err
		}
	}
	return nil
}

// placeAlone is Process for row i of a batch.
func (w *window) placeAlone(rows arrow.RecordBatch, i int, out flow.Emitter) error {
	row := flow.Take(rows, []int32{int32(i)}, w.o.Alloc)
	defer row.Release()
	err := w.begin(row)
	full := func() bool { return w.groups.Len() >= w.groups.Decl().MaxKeys }
	if err != nil && full() {
		w.forget()
		err = w.begin(row)
	}
	switch {
	case err == nil:
		return w.placeRows(out)
	case full():
		return w.explain(err)
	}
	w.refuseKey(rows, i, keyTooLong(err))
	return nil
}

// refuseKey rejects row i for what is wrong with its key.
func (w *window) refuseKey(rows arrow.RecordBatch, i int, reason string) {
	w.o.Count("refused", 1)
	w.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: reason})
}
