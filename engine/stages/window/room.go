package window

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// makeRoom is Process for a batch whose keys the table of groups has no room for. Groups without panes wait for the next tick, and a
// second of refused rows may be more of them than there is room for. So the rows go in one by one, and what waits is forgotten at the
// row that finds the table full: that is the same row however batches were cut. It returns full, explained, where nothing waits.
func (w *window) makeRoom(rows arrow.RecordBatch, out flow.Emitter, full error) error {
	if w.kind == counting || w.kind == holding {
		return w.explain(full)
	}
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
	if err != nil {
		w.forget()
		err = w.begin(row)
	}
	if err != nil {
		return w.explain(err)
	}
	return w.placeRows(out)
}
