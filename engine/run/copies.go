package run

import "github.com/tidemill/tidemill/engine/state"

// pieceBytes is how much a task copies of its tables at a time, and at most at a barrier: half of a millisecond's work
// where the memory for it is at hand, one or two where the system has to find it or the collector wants help.
const pieceBytes = 1 << 20

// copies tells how far a task is with copying for a barrier what of its tables is too much for one go.
type copies struct {
	epoch uint64
	left  int64 // bytes that it may still copy before the barrier, which comes then in any case
}

// copyAhead copies a piece of what the barrier of a request will want; false when what is left is little enough, or
// when rows change as much as is copied: then it would go on for ever.
func (t *task) copyAhead(req *request) bool {
	piece := t.engine.pieceBytes()
	left, most, from := int64(0), int64(0), (*state.Table)(nil)
	t.eachTable(func(_ string, table *state.Table) {
		n := table.Left(req.full && !table.Decl().Seldom)
		if left += n; n > most {
			most, from = n, table
		}
	})
	if t.copies.epoch != req.epoch {
		t.copies = copies{req.epoch, 2*left + piece}
	}
	if left <= piece || t.copies.left <= 0 {
		return false
	}
	from.Ahead(req.full && !from.Decl().Seldom, piece)
	t.copies.left -= piece
	return true
}

func (e *Engine) pieceBytes() int64 {
	if e.o.PieceBytes > 0 {
		return e.o.PieceBytes
	}
	return pieceBytes
}
