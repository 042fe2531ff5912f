package window

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// makeRoom is Process for a batch whose keys the table of groups has no room for. Groups without panes wait for the next tick, and a
// second of refused rows may be more of them than there is room for. So the rows go in one by one, and what waits is forgotten at the
// row that finds the table full: that is the same row however batches were cut. Where nothing waits, as of counts and states never does, the
// row is rejected, and so is one whose key no table takes.
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
	if err != nil && w.groups.Room() == 0 {
		w.forget()
		err = w.begin(row)
	}
	switch {
	case err == nil:
		return w.placeRows(out)
	case w.groups.Room() == 0:
		w.refuseKey(rows, i, w.tooMany())
	default:
		w.refuseKey(rows, i, keyTooLong(err))
	}
	return nil
}

// tooMany is the reason for which a row is refused whose group there is no room for.
func (w *window) tooMany() string {
	return fmt.Sprintf("too many keys: %d keys (by %s) have windows; a shorter keep, fewer columns in by, or max_keys in the channel help",
		w.groups.Len(), strings.Join(stage.Names(w.by), ", "))
}

// refuseKey rejects row i for what is wrong with its key.
func (w *window) refuseKey(rows arrow.RecordBatch, i int, reason string) {
	w.o.Count("refused", 1)
	w.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: reason})
}
