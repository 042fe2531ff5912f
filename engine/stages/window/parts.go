package window

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Words and links of a group of the first phase.
const (
	partMark  = iota // I64: latest event time of its rows, each no later than it was received
	partTold         // I64: what of that went out; NoMark: nothing
	partLast         // I64: _received of the latest row
	partShown        // I64: of the latest row in a part that went out; NoMark: none did
	partGroupWords
)

const (
	partCount = iota // U32: parts
	partReady        // 1: the words are filled in
	partGroupLinks
)

// partRows is where a part counts its rows, and partLatest where that of a session has the time of its last one.
const (
	partRows   = paneOffset
	partLatest = paneEnd
)

// parts is the first phase of a window: phases.go has the whole. Its panes are parts.
type parts struct {
	*window
	schema *arrow.Schema
	near   []lane // by group: the part of its latest row
	next   int64  // tick at which a part is due, at the earliest
	blob   []byte
	tick   *state.Table // with rows that go out alone: the latest tick
	lone   []int32      // rows of the batch at hand that are parts by themselves
	text   *flow.JSONEncoder
	was    *arrow.Schema // of text

	sendAt   int64 // the tick of what is being sent
	sent     int   // of found
	telling  bool  // watermarks are to be sent, or being sent
	tellFrom uint32
	told     []uint32
}

var _ stage.Paced = (*parts)(nil)

func openParts(p program, out *arrow.Schema, o stage.Opening) (stage.Stage, error) {
	s := &parts{window: newWindow(p, o), schema: out, next: math.MinInt64}
	if p.early > 0 {
		s.periods = o.Tables[2]
		if err := onlySlot(s.periods, flow.NoMark); err != nil {
			return nil, err
		}
	}
	if p.noticesTicks() {
		s.tick = o.Tables[len(o.Tables)-1]
		if err := onlySlot(s.tick, flow.NoMark); err != nil {
			return nil, err
		}
	}
	s.groups.Range(func(g uint32) bool {
		s.setDue(g)
		return true
	})
	return s, nil
}

func (s *parts) words(g uint32) []int64 {
	return s.groups.I64(0)[g*partGroupWords : (g+1)*partGroupWords]
}

func (s *parts) links(g uint32) []uint32 {
	return s.groups.U32(1)[g*partGroupLinks : (g+1)*partGroupLinks]
}

// Process adds rows to their parts.
func (s *parts) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	n := int(rows.NumRows())
	s.rows, s.times, s.lone = rows, flow.Times(rows), s.lone[:0]
	defer s.finish()
	s.findGroups(rows, n)
	s.evaluate()
	if cap(s.idx) < n {
		s.idx = make([]uint32, n)
	}
	s.idx = s.idx[:n]
	received, every, over := flow.Received(rows), uint64(s.partLength()), s.over()
	for i, g := range s.laneNos[:n] {
		t, r := int64(s.times[i]), int64(received[i])
		if g == noGroup {
			s.idx[i] = noPane
			continue
		}
		if far(t) {
			s.idx[i] = s.refuseFar(i)
			s.setDue(g) // it may have nothing else
			continue
		}
		if t < over {
			s.lone, s.idx[i] = append(s.lone, int32(i)), noPane
			s.ready(g)
			s.note(g, t, r)
			continue
		}
		l := &s.near[g]
		if l.pane == noPane || uint64(t-l.start) >= every {
			if err := s.find(g, t); err != nil {
				return s.explain(err)
			}
		}
		s.idx[i] = l.pane
		c := (*[metaWords]int64)(s.cells(l.pane))
		c[partRows], c[paneReceived] = c[partRows]+1, max(c[paneReceived], r)
		if s.kind == session {
			s.widen(l.pane, t)
		}
		s.panes.Touch(l.pane)
		s.note(g, t, r)
	}
	cells := s.panes.I64(0)
	for i := range s.accs {
		s.accumulate(i, cells, 0, n)
	}
	return s.sendLone(out)
}

// note moves a group's watermark by a row.
func (s *parts) note(g uint32, t, r int64) {
	words := s.words(g)
	words[partMark], words[partLast] = max(words[partMark], min(t, r)), max(words[partLast], r)
	s.groups.Touch(g)
	s.setDue(g)
}

// ready fills in what is known of a group at first.
func (s *parts) ready(g uint32) {
	if links := s.links(g); links[partReady] == 0 {
		copy(s.words(g), []int64{flow.NoMark, flow.NoMark, 0, flow.NoMark})
		links[partReady] = 1
	}
}

// findGroups finds the group of each row.
func (s *parts) findGroups(rows arrow.RecordBatch, n int) {
	if cap(s.laneNos) < n {
		s.laneNos = make([]uint32, n)
	}
	s.laneNos = s.laneNos[:n]
	if len(s.by) > 0 {
		if _, err := s.keys.Intern(rows, s.o.Alloc, s.groups, s.laneNos); err != nil {
			s.findEach(rows)
		}
	} else {
		g, _, err := s.groups.Slot(s.key[:0])
		if err != nil {
			panic("BUG: a table of one group is full: " + err.Error())
		}
		for i := range s.laneNos {
			s.laneNos[i] = g
		}
	}
	for len(s.near) < s.groups.Slots() {
		s.near = append(s.near, noLane())
	}
}

// find makes the part that a row of a group at t belongs to the group's nearest one.
func (s *parts) find(g uint32, t int64) error {
	start := t - mod(t-s.offset, s.partLength())
	s.key = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(s.key[:0], g), uint64(start))
	p, fresh, err := s.panes.Slot(s.key)
	if err != nil {
		return err
	}
	s.ready(g)
	if fresh {
		copy(s.cells(p), s.template)
		s.cells(p)[paneStart] = start
		if s.kind == session {
			s.cells(p)[paneStart], s.cells(p)[partLatest] = t, t
		}
		s.panes.U32(1)[p] = g
		s.links(g)[partCount]++
		s.next = min(s.next, s.dueAt(p))
	}
	s.near[g] = lane{start: start, pane: p}
	return nil
}

// widen lets the part of a session begin and end with a row at t, if that is before or behind all others.
func (s *parts) widen(p uint32, t int64) {
	c := s.cells(p)
	c[partLatest] = max(c[partLatest], t)
	if t < c[paneStart] {
		c[paneStart] = t
		s.next = min(s.next, s.dueAt(p))
	}
}

// dueAt is the tick with which a part goes out.
func (s *parts) dueAt(p uint32) int64 {
	if s.kind == session {
		return s.cells(p)[paneStart] + s.grace
	}
	return s.cells(p)[paneStart] + s.every + s.grace
}

// Advance looks which parts are due, at ticks. More sends them.
func (s *parts) Advance(_ int, marks flow.Watermarks, _ flow.Emitter) error {
	if len(s.found) > 0 || s.telling {
		panic("BUG: parts are told of progress before they have said all about what they were told before")
	}
	if !marks.Ticked && !marks.Ended {
		return nil
	}
	if s.tick != nil && marks.Ticked {
		s.tick.I64(0)[0] = marks.Tick
		s.tick.Touch(0)
	}
	early := marks.Ticked && s.isEarly(marks.Tick)
	if early || marks.Ended || s.idle > 0 || marks.Tick >= s.next {
		s.findDue(marks.Tick, early || marks.Ended)
	}
	s.sendAt, s.sent, s.telling, s.tellFrom = marks.Tick, 0, true, 0
	return nil
}

// More sends parts, and then rows that tell of watermarks alone.
func (s *parts) More(out flow.Emitter) (more bool, err error) {
	switch {
	case s.sent < len(s.found):
		s.send(s.found[s.sent:min(len(s.found), s.sent+emitRows)], s.sendAt, out)
		s.sent += emitRows
		return true, nil
	case !s.telling:
		return false, nil
	}
	s.found = s.found[:0]
	if s.tell(s.sendAt, out) {
		return true, nil
	}
	s.settleGroups()
	s.telling = false
	return false, nil
}

// findDue lists the parts that are due.
func (s *parts) findDue(now int64, all bool) {
	s.next = math.MaxInt64
	s.panes.Range(func(p uint32) bool {
		due := s.dueAt(p)
		if all || now >= due || s.idle > 0 && s.unseen(s.panes.U32(1)[p], now) {
			s.found = append(s.found, p)
		} else {
			s.next = min(s.next, due)
		}
		return true
	})
}

// unseen tells whether the second phase might take the group for idle while there are rows. Parts of it go out when the last
// one that did is half of idle old: so those of a group that is idle everywhere have all gone out by then.
func (s *parts) unseen(g uint32, now int64) bool {
	shown := s.words(g)[partShown]
	return shown == flow.NoMark || now-shown >= s.idle/2
}

// send emits parts, and lets go of them.
func (s *parts) send(list []uint32, now int64, out flow.Emitter) {
	groups := make([]uint32, len(list))
	for i, p := range list {
		groups[i] = s.panes.U32(1)[p]
		if s.sketched {
			s.rest(p, false)
		}
	}
	out.Emit(s.emitParts(list, groups, now, nil))
	for i, p := range list {
		g := groups[i]
		words := s.words(g)
		words[partTold], words[partShown] = min(words[partMark], now), max(words[partShown], s.cells(p)[paneReceived])
		s.links(g)[partCount]--
		s.groups.Touch(g)
		s.setDue(g)
		s.panes.Delete(p)
		if int(g) < len(s.near) && s.near[g].pane == p {
			s.near[g] = noLane()
		}
	}
}

// tell emits watermarks that have passed something of a window, as many as fit a batch, and tells whether there may be more.
func (s *parts) tell(now int64, out flow.Emitter) (more bool) {
	groups := s.told[:0]
	for i := s.tellFrom; int(i) < len(s.due) && len(groups) < emitRows; i++ {
		for b := s.due[i]; b != 0; b &= b - 1 {
			g := i<<6 + uint32(bits.TrailingZeros64(b))
			words := s.words(g)
			if mark := min(words[partMark], now); s.passes(words[partTold], mark) {
				groups = append(groups, g)
				words[partTold] = mark
				s.groups.Touch(g)
			}
		}
		s.tellFrom = i + 1
	}
	if s.told = groups; len(groups) > 0 {
		out.Emit(s.emitParts(nil, groups, now, nil))
	}
	return int(s.tellFrom) < len(s.due)
}

// passes tells whether a watermark that goes from one time to another may close a window, or end what is kept of one.
func (s *parts) passes(from, to int64) bool {
	if from >= to || s.kind == session { // whose ends are not known here
		return from < to
	}
	border := func(t, after int64) int64 { return t - mod(t-s.offset-after, s.every) }
	return from == flow.NoMark || border(from, s.grace) != border(to, s.grace) || border(from, s.grace+s.keep) != border(to, s.grace+s.keep)
}

// settleGroups forgets groups of which all went out.
func (s *parts) settleGroups() {
	for i, b := range s.due {
		for ; b != 0; b &= b - 1 {
			g := uint32(i<<6 + bits.TrailingZeros64(b))
			words := s.words(g)
			switch {
			case words[partTold] < words[partMark] && s.links(g)[partCount] == 0:
				continue // a clock that is ahead: told at a later tick
			case s.links(g)[partCount] == 0:
				if int(g) < len(s.near) {
					s.near[g] = noLane()
				}
				s.groups.Delete(g)
			case words[partTold] < words[partMark] && s.passes(words[partTold], words[partMark]):
				continue
			}
			s.due[i] &^= 1 << (g & 63)
		}
	}
}

// emitParts makes rows of parts of groups; of watermarks alone without parts. lone are the rows that are parts by themselves.
func (s *parts) emitParts(list, groups []uint32, now int64, lone []int32) arrow.RecordBatch {
	n := len(groups)
	offset, index, slot, mark := s.column64(n), s.column32(n), s.column32(n), s.column64(n)
	received, time := s.column64(n), s.column64(n)
	clear(offset.v)
	clear(index.v)
	clear(slot.v)
	for i, g := range groups {
		words := s.words(g)
		received.v[i], time.v[i] = words[partLast], min(words[partMark], now)
		mark.v[i] = time.v[i]
	}
	for k, i := range lone {
		received.v[k] = int64(flow.Received(s.rows)[i])
		time.v[k] = min(int64(s.times[i]), received.v[k], now)
		mark.v[k] = time.v[k]
	}
	cols := append(make([]arrow.Array, 0, s.startColumn()+2), offset.array(arrow.PrimitiveTypes.Int64), index.array(arrow.PrimitiveTypes.Int32),
		received.array(flow.Timestamp), time.array(flow.Timestamp), slot.array(arrow.PrimitiveTypes.Uint32), mark.array(arrow.PrimitiveTypes.Int64))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	cols = append(cols, s.keys.Columns(s.groups, groups, s.o.Alloc)...)
	cols = append(cols, s.starts(list, n), s.blobsOf(list, n))
	if s.late == side {
		cols = append(cols, s.textsOf(lone, n))
	}
	return array.NewRecordBatch(s.schema, cols, int64(n))
}

// starts makes the column window_start, of nulls without parts.
func (s *parts) starts(list []uint32, n int) arrow.Array {
	start, none := s.column64(n), (*memory.Buffer)(nil)
	clear(start.v)
	for i, p := range list {
		start.v[i] = s.cells(p)[paneStart]
	}
	if len(list) == 0 {
		none = s.bitmap(n)
	}
	return wrap(flow.Timestamp, n, n-len(list), none, start.buf)
}

// blobsOf makes the column of parts, of nulls without them.
func (s *parts) blobsOf(list []uint32, n int) arrow.Array {
	ends := s.buffer((n + 1) * 4)
	at, none := arrow.Int32Traits.CastFromBytes(ends.Bytes()), (*memory.Buffer)(nil)
	clear(at)
	s.blob = s.blob[:0]
	for i, p := range list {
		s.blob = s.appendPart(s.blob, p)
		at[i+1] = int32(len(s.blob))
	}
	if len(list) == 0 {
		none = s.bitmap(n)
	}
	data := s.buffer(len(s.blob))
	copy(data.Bytes(), s.blob)
	return wrap(arrow.BinaryTypes.String, n, n-len(list), none, ends, data)
}
