package order

import (
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*order)(nil)

// Words and links of the tables' slots, see doc.go. Links are one more than what they lead to; 0 is none.
const (
	keyTold = iota // I64: what Advance said since the last tick
	keyOut         // time of the latest row that went out
	keyReceived
	keyWords
)

const (
	keyHead = iota // U32
	keyTail
	keyLen
	keySlot
	keyLinks
)

const (
	rowTime = iota // I64
	rowReceived
	rowOffset
	rowIndex
	rowWords
)

const (
	rowOlder = iota // U32
	rowNewer
	rowLinks
)

type order struct {
	*program
	o          stage.Opening
	keys, rows *state.Table
	bySlot     []uint32 // by _slot, plus one; follows from keys
	told       []uint32

	cols  []arrow.Array
	meta  carry.Meta
	outs  []*carry.Column
	value []byte
}

func open(p *program, o stage.Opening) *order {
	s := &order{program: p, o: o, keys: o.Tables[0], rows: o.Tables[1], outs: carry.NewColumns(p.keep.Types()), value: []byte{}}
	s.keys.Range(func(k uint32) bool {
		s.link(k)
		if s.words(k)[keyTold] != flow.NoMark {
			s.told = append(s.told, k)
		}
		return true
	})
	return s
}

func (s *order) words(k uint32) []int64  { return s.keys.I64(0)[k*keyWords : (k+1)*keyWords] }
func (s *order) links(k uint32) []uint32 { return s.keys.U32(1)[k*keyLinks : (k+1)*keyLinks] }
func (s *order) row(r uint32) []int64    { return s.rows.I64(0)[r*rowWords : (r+1)*rowWords] }
func (s *order) rowLinks(r uint32) []uint32 {
	return s.rows.U32(1)[r*rowLinks : (r+1)*rowLinks]
}

func (s *order) link(k uint32) {
	slot := s.links(k)[keySlot]
	if int(slot) >= len(s.bySlot) {
		s.bySlot = append(s.bySlot, make([]uint32, int(slot)+1-len(s.bySlot)+len(s.bySlot)/2)...)
	}
	s.bySlot[slot] = k + 1
}

// key finds or makes what is known of a _slot.
func (s *order) key(slot uint32) (uint32, error) {
	if int(slot) < len(s.bySlot) && s.bySlot[slot] > 0 {
		return s.bySlot[slot] - 1, nil
	}
	k, err := s.keys.Anonymous()
	if err != nil {
		return 0, err
	}
	copy(s.words(k), []int64{flow.NoMark, flow.NoMark, 0})
	s.links(k)[keySlot] = slot
	s.link(k)
	return k, nil
}

// Process takes rows in, and sends out those whose time has come.
func (s *order) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	s.cols = s.keep.Of(rows, &s.o, s.cols[:0])
	defer func() { carry.Release(s.cols) }()
	times, marks, slots, received := flow.Times(rows), flow.Marks(rows), flow.Slots(rows), flow.Received(rows)
	for i := range times {
		k, err := s.key(slots[i])
		if err != nil {
			return err
		}
		w := s.words(k)
		w[keyReceived] = max(w[keyReceived], int64(received[i]))
		s.keys.Touch(k)
		if int64(times[i]) < w[keyOut] {
			s.late(rows, i, marks[i])
		} else {
			s.insert(k, rows, i)
		}
		s.release(k, past(marks[i], s.bound))
	}
	s.flush(out)
	return nil
}

// past is a watermark less some time; of none it is none.
func past(mark, us int64) int64 {
	if mark < math.MinInt64+us {
		return flow.NoMark
	}
	return mark - us
}

func (s *order) late(rows arrow.RecordBatch, i int, mark int64) {
	s.o.Count("late", 1)
	switch {
	case s.pass:
		s.meta.Add(flow.Offsets(rows)[i], flow.Indexes(rows)[i], int64(flow.Received(rows)[i]), int64(flow.Times(rows)[i]), flow.Slots(rows)[i], past(mark, s.bound))
		for c, col := range s.outs {
			col.From(s.cols[c], i)
		}
	case !s.drop:
		s.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: "late: a later row of its key has gone out already; bound says how long rows wait"})
	}
}

// insert lets a row wait, behind those of its key that are not later. What is too much pushes the first one out.
func (s *order) insert(k uint32, rows arrow.RecordBatch, i int) {
	t := int64(flow.Times(rows)[i])
	for int(s.links(k)[keyLen]) >= s.maxRows || s.rows.Len() >= s.maxTotal {
		head := s.links(k)[keyHead]
		if head == 0 || s.row(head - 1)[rowTime] > t { // the row is the first itself
			s.o.Count("pushed_out", 1)
			s.send(k, t, func() {
				s.meta.Add(flow.Offsets(rows)[i], flow.Indexes(rows)[i], int64(flow.Received(rows)[i]), t, flow.Slots(rows)[i], t)
				for c, col := range s.outs {
					col.From(s.cols[c], i)
				}
			})
			return
		}
		s.o.Count("pushed_out", 1)
		s.pop(k)
	}
	r, err := s.rows.Anonymous()
	if err != nil {
		panic("BUG: a table with room is full: " + err.Error())
	}
	copy(s.row(r), []int64{t, int64(flow.Received(rows)[i]), flow.Offsets(rows)[i], int64(flow.Indexes(rows)[i])})
	s.value = carry.Append(s.value[:0], s.cols, i)
	s.rows.SetBytes(2, r, s.value)
	links := s.links(k)
	at := links[keyTail]
	for at != 0 && s.row(at - 1)[rowTime] > t {
		at = s.rowLinks(at - 1)[rowOlder]
	}
	var next uint32
	if at == 0 {
		next, links[keyHead] = links[keyHead], r+1
	} else {
		l := s.rowLinks(at - 1)
		next, l[rowNewer] = l[rowNewer], r+1
		s.rows.Touch(at - 1)
	}
	own := s.rowLinks(r)
	own[rowOlder], own[rowNewer] = at, next
	if next == 0 {
		links[keyTail] = r + 1
	} else {
		s.rowLinks(next - 1)[rowOlder] = r + 1
		s.rows.Touch(next - 1)
	}
	links[keyLen]++
	s.keys.Touch(k)
}

// release sends out the rows of a key up to a time.
func (s *order) release(k uint32, until int64) {
	for head := s.links(k)[keyHead]; head != 0 && s.row(head - 1)[rowTime] <= until; head = s.links(k)[keyHead] {
		s.pop(k)
	}
}

// pop sends out the first row of a key.
func (s *order) pop(k uint32) {
	links := s.links(k)
	r := links[keyHead] - 1
	w := s.row(r)
	s.send(k, w[rowTime], func() {
		s.meta.Add(w[rowOffset], int32(w[rowIndex]), w[rowReceived], w[rowTime], links[keySlot], w[rowTime])
		carry.Read(s.rows.Bytes(2, r), s.outs)
	})
	newer := s.rowLinks(r)[rowNewer]
	if links[keyHead] = newer; newer == 0 {
		links[keyTail] = 0
	} else {
		s.rowLinks(newer - 1)[rowOlder] = 0
		s.rows.Touch(newer - 1)
	}
	links[keyLen]--
	s.rows.Delete(r)
	s.keys.Touch(k)
}

// send notes that a row of that time goes out. Its own time is the watermark behind it: none that is earlier follows.
func (s *order) send(k uint32, t int64, row func()) {
	row()
	s.words(k)[keyOut] = t
	s.keys.Touch(k)
}

// Advance notes watermarks as they come, and acts on them at ticks, which stand at the same places
// among the rows however batches are cut.
func (s *order) Advance(_ int, marks flow.Watermarks, out flow.Emitter) error {
	for _, m := range marks.Keys {
		if int(m.Slot) >= len(s.bySlot) || s.bySlot[m.Slot] == 0 {
			continue
		}
		k := s.bySlot[m.Slot] - 1
		w := s.words(k)
		if w[keyTold] == flow.NoMark {
			s.told = append(s.told, k)
		}
		w[keyTold] = max(w[keyTold], m.Time)
		s.keys.Touch(k)
	}
	if marks.Ticked {
		s.tick(marks.Tick)
	}
	if marks.Ended {
		s.all(func(uint32) bool { return true })
	}
	s.flush(out)
	return nil
}

func (s *order) tick(now int64) {
	slices.Sort(s.told)
	for _, k := range s.told {
		w := s.words(k)
		s.release(k, past(w[keyTold], s.bound))
		s.words(k)[keyTold] = flow.NoMark
		s.keys.Touch(k)
	}
	s.told = s.told[:0]
	s.all(func(k uint32) bool { return s.words(k)[keyReceived] < now-s.wait })
}

// all sends out what waits of some keys.
func (s *order) all(which func(k uint32) bool) {
	if s.rows.Len() == 0 {
		return
	}
	s.keys.Range(func(k uint32) bool {
		if s.links(k)[keyHead] != 0 && which(k) {
			s.release(k, math.MaxInt64)
		}
		return true
	})
}

func (s *order) flush(out flow.Emitter) {
	if s.meta.Len() > 0 {
		out.Emit(s.meta.Rows(s.out, carry.Finish(s.outs)))
	}
}

// Close has nothing to release.
func (s *order) Close() error { return nil }
