package run

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// ownTables are the task's tables that belong to no stage.
func (t *task) ownTables() []*state.Table {
	out := []*state.Table{t.keys}
	if t.figures != nil {
		out = append(out, t.figures)
	}
	if t.sent != nil {
		out = append(out, t.sent.table)
	}
	if t.seen != nil {
		out = append(out, t.seen.table)
	}
	if t.repeats != nil {
		out = append(out, t.repeats.table)
	}
	if t.clocks != nil {
		out = append(out, t.clocks.table)
	}
	return append(out, t.control.tables()...)
}

func (t *task) openDuplicates(have map[string]*state.Table) {
	t.sent, t.seen = nil, nil
	if d := t.channel.SentDecl(); have[tableKey("", d)] != nil {
		t.sent = t.newSenders(table(have, "", d))
	}
	if d := t.channel.Config.Dedupe; d != nil {
		t.seen = newSeen(d, table(have, "", t.channel.SeenDecl()), t.alloc)
	}
	t.openRepeats(have)
}

// senders tells which records a sender has sent before, by the session and the
// packet identifier in their envelopes:
//
//	session | id/8 mod 8   ->   sums of the last messages whose identifiers are 8k ... 8k+7 mod 64, and when the latest came
//	session | id/8, 16 bit ->   of a sender with many messages on their way (Envelope.Many): the same, of 8k ... 8k+7
//
// An identifier alone decides nothing, since it is used again for other
// messages: a record is a duplicate when its sender says that it is sent again, and
// the record before with that identifier has the same topic and payload, and its sender may not know yet that it was
// acknowledged: with QoS 2, since it was not released in between, with QoS 1, since nothing shows it (Envelope.Settled; mqtt
// says where that comes from). The time that counts is that of the eight identifiers' latest message.
//
// What is said of an identifier is kept until 64 later ones have been used. Where many are on their way, it is kept until half a minute has
// gone by as well, or some 4,600 later ones have been used: all of them come again when the connection breaks. For the others that would be
// rows for nothing, by the thousand where messages come quickly.
type senders struct {
	table *state.Table
	key   [10]byte
	full  *Counter // of records of which nothing is noted, since the table is full
}

func (t *task) newSenders(table *state.Table) *senders {
	return &senders{table: table, full: &t.counters.unnoted}
}

const (
	// inFlightFor is how long the answer to a message may be on its way while its sender sends on, us.
	inFlightFor = 30_000_000
	// A row is looked at when so many of its session have begun since, again at eight times that, and at the farthest, where
	// it is forgotten whenever it is from.
	nearest, farthest = 64/plan.SentWidth + 1, 64 * nearest
	// sentRows is how many rows a session can have.
	sentRows = 1 << 16 / plan.SentWidth
)

// sentFor is how long the table keeps what it knows of a session that sends nothing, us.
const sentFor = 7 * 24 * 3_600_000_000

// sweepEach is how many rows of the table a tick looks at.
const sweepEach = 4_096

// withoutResent takes what is a duplicate out of what was decoded.
func (t *task) withoutResent(b *journal.Block, r *decode.Result) {
	if len(b.EnvelopeEnds) == 0 {
		return
	}
	gone := t.resent(b)
	if len(gone) == 0 {
		return
	}
	t.counters.resent.Add(int64(len(gone)))
	r.Rejects = slices.DeleteFunc(r.Rejects, func(x decode.Reject) bool {
		_, dup := slices.BinarySearch(gone, x.Offset)
		return dup
	})
	if r.Rows == nil {
		return
	}
	sel := t.keepers[0].sel[:0]
	for i, offset := range flow.Offsets(r.Rows) {
		if _, dup := slices.BinarySearch(gone, offset); !dup {
			sel = append(sel, int32(i))
		}
	}
	t.keepers[0].sel = sel
	r.Rows = t.keepers[0].keep(r.Rows)
}

// resent lists the offsets of a block's duplicates, rising; valid until the next call.
func (t *task) resent(b *journal.Block) []int64 {
	first := 0
	if next := t.next.Load(); next > b.First {
		first = int(next - b.First)
	}
	if t.repeats != nil {
		t.repeats.gone = t.repeats.gone[:0]
	}
	known := t.verdicts.of(b.First)
	topic, topicOf := uint64(0), -1
	for i := first; i < b.Count; i++ {
		e, err := decode.ParseEnvelope(b.Envelope(i))
		if err != nil || e.Session == 0 {
			continue
		}
		if t.sent == nil {
			t.sent = t.newSenders(state.New(t.channel.SentDecl()))
		}
		if t.repeats == nil {
			t.repeats = newRepeats(t.channel.RepeatsDecl(), b.First)
		}
		offset := int64(b.First) + int64(i)
		if known {
			if t.verdicts.repeated(offset, wholeRecord) {
				t.repeats.gone = append(t.repeats.gone, offset)
			}
			continue
		}
		of := 0
		if b.TopicOf != nil {
			of = int(b.TopicOf[i])
		}
		if of != topicOf && len(b.Topics) > 0 {
			topic, topicOf = flow.Hash([]byte(b.Topics[of])), of
		}
		if t.sent.judge(&e, flow.Hash(b.Record(i))^topic, b.Received[i]) {
			t.repeats.gone = append(t.repeats.gone, offset)
			t.repeats.note(offset, wholeRecord)
		}
	}
	if t.repeats == nil {
		return nil
	}
	return t.repeats.gone
}

// judge says whether a record is a duplicate, and remembers it otherwise.
func (s *senders) judge(e *decode.Envelope, sum uint64, received int64) bool {
	const odd = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio: spreads the identifier over all bits
	sum = (sum ^ (uint64(e.Uses)<<16|uint64(e.Packet))*odd) | 1
	if e.Resent && s.again(e, sum, received) {
		return true
	}
	key := s.few(e)
	if e.Many {
		key = s.many(e.Session, e.Packet/plan.SentWidth)
	}
	slot, _, err := s.table.Slot(key)
	if err != nil {
		s.full.Add(1)
		return false
	}
	last := s.table.I64(1)
	before := last[slot]
	s.table.I64(0)[int(slot)*plan.SentWidth+int(e.Packet%plan.SentWidth)], last[slot] = int64(sum), received
	s.table.Touch(slot)
	if e.Many && before < received-inFlightFor {
		s.forget(e.Session, e.Packet/plan.SentWidth, received-inFlightFor)
	}
	return false
}

// again says whether what is sent again has come before. It may come once more, so that this is when it came.
func (s *senders) again(e *decode.Envelope, sum uint64, received int64) bool {
	return s.at(s.many(e.Session, e.Packet/plan.SentWidth), e, sum, received) || s.at(s.few(e), e, sum, received)
}

// at says whether a row, if there is one, has the message.
func (s *senders) at(key []byte, e *decode.Envelope, sum uint64, received int64) bool {
	slot, ok := s.table.Find(key)
	if !ok || uint64(s.table.I64(0)[int(slot)*plan.SentWidth+int(e.Packet%plan.SentWidth)]) != sum {
		return false
	}
	last := s.table.I64(1)
	if e.Settled != 0 && last[slot] < e.Settled {
		return false
	}
	last[slot] = received
	s.table.Touch(slot)
	return true
}

// few is the key of a row of identifiers modulo 64, until the next key.
func (s *senders) few(e *decode.Envelope) []byte {
	binary.LittleEndian.PutUint64(s.key[:], e.Session)
	s.key[8] = byte(e.Packet / plan.SentWidth % 8)
	return s.key[:9]
}

// many is the key of a row of a session, until the next key.
func (s *senders) many(session uint64, row uint16) []byte {
	binary.LittleEndian.PutUint64(s.key[:], session)
	binary.LittleEndian.PutUint16(s.key[8:], row)
	return s.key[:]
}

// forget lets go of rows of a session that lie behind one that begins, and are from before a time or far behind.
func (s *senders) forget(session uint64, row uint16, before int64) {
	for behind := uint16(nearest); behind <= farthest; behind *= 8 {
		slot, ok := s.table.Find(s.many(session, (row-behind)%sentRows))
		if ok && (behind == farthest || s.table.I64(1)[slot] < before) {
			s.table.Delete(slot)
		}
	}
}

// sweep forgets sessions that have sent nothing for long, a part of the table at each tick.
func (s *senders) sweep(tick int64) {
	n := uint32(s.table.Slots())
	if n == 0 {
		return
	}
	parts := (n + sweepEach - 1) / sweepEach
	from := uint32(uint64(tick/1_000_000)%uint64(parts)) * sweepEach
	for slot := from; slot < min(from+sweepEach, n); slot++ {
		if s.table.Live(slot) && s.table.I64(1)[slot] < tick-sentFor {
			s.table.Delete(slot)
		}
	}
}

// seen tells which rows of a channel came before, by its dedupe. The time of a
// row is when it was received, made to rise strictly from row to row, so that the order in which
// rows were first seen, which forgetting follows, is the order of the times in the table.
type seen struct {
	o     *config.Dedupe
	table *state.Table
	order []uint32 // slots, oldest first, from head on
	head  int
	last  int64    // time of the newest, us
	found *repeats // is told of what was seen before

	schema *arrow.Schema // that cols are of
	cols   []int         // nil: a column is not there
	keys   []arrow.Array // of the rows at hand
	nulls  bool          // some of keys are null
	text   []byte        // keys of sought
	sought []state.Sought
	sel    []int32
	alloc  memory.Allocator
}

func newSeen(o *config.Dedupe, table *state.Table, alloc memory.Allocator) *seen {
	s := &seen{o: o, table: table, alloc: alloc}
	table.Range(func(slot uint32) bool {
		s.order = append(s.order, slot)
		return true
	})
	at := table.I64(0)
	sort.Slice(s.order, func(i, j int) bool { return at[s.order[i]] < at[s.order[j]] })
	if n := len(s.order); n > 0 {
		s.last = at[s.order[n-1]]
	}
	return s
}

// maxSeenKey is how many bytes the key of a row may have; a longer one is compared by its hash.
const maxSeenKey = 512

// filter takes ownership of rows and gives those back that were not seen before. A row
// that lacks one of the columns cannot be compared, and passes.
func (s *seen) filter(rows arrow.RecordBatch) (_ arrow.RecordBatch, repeated int64) {
	if s == nil || !s.bind(rows.Schema()) {
		return rows, 0
	}
	s.sel = s.sel[:0]
	s.look(rows)
	defer clear(s.keys)
	received, offsets, indexes := flow.Received(rows), flow.Offsets(rows), flow.Indexes(rows)
	for from := 0; from < len(received); from += soughtAtOnce {
		part := received[from:min(from+soughtAtOnce, len(received))]
		s.seek(from, len(part), int64(part[0]))
		for i, at := range part {
			if key := &s.sought[i]; key.Key != nil && s.before(key, int64(at)) {
				s.found.note(offsets[from+i], indexes[from+i])
				repeated++
				continue
			}
			s.sel = append(s.sel, int32(from+i))
		}
	}
	if repeated == 0 {
		return rows, 0
	}
	kept := flow.Take(rows, s.sel, s.alloc)
	rows.Release()
	return kept, repeated
}

// bind finds the columns; false when one is not there.
func (s *seen) bind(schema *arrow.Schema) bool {
	if s.schema == schema {
		return s.cols != nil
	}
	s.schema, s.cols = schema, nil
	var cols []int
	for _, name := range s.o.Keys {
		at := schema.FieldIndices(name)
		if len(at) == 0 || !flow.KeyType(schema.Field(at[0]).Type) {
			return false
		}
		cols = append(cols, at[0])
	}
	s.cols = cols
	return true
}

// look finds the columns' values.
func (s *seen) look(rows arrow.RecordBatch) {
	s.keys, s.nulls = s.keys[:0], false
	for _, c := range s.cols {
		col := rows.Column(c)
		s.keys, s.nulls = append(s.keys, col), s.nulls || col.NullN() > 0
	}
}

// soughtAtOnce is how many rows are looked up together: their cells fit the nearest cache beside the rest.
const soughtAtOnce = 256

// seek makes the keys of n rows, the first of which was received then, and brings near what looking for them, and forgetting as
// many, will touch. The table is larger than the caches, and a row's place in it is anywhere.
func (s *seen) seek(from, n int, received int64) {
	s.text, s.sought = s.text[:0], s.sought[:0]
	for i := from; i < from+n; i++ {
		s.sought = append(s.sought, state.Sought{Key: s.keyOf(i)})
	}
	s.table.Seek(s.sought)
	old := s.order[s.head:]
	if len(old) > 0 && (s.table.Len()+n > s.o.Max || s.table.I64(0)[old[0]] < received-s.o.Within.Microseconds()) {
		s.table.Approach(old[:min(n, len(old))])
	}
}

// keyOf returns the key of a row; nil where one of its columns is null.
func (s *seen) keyOf(i int) []byte {
	start := len(s.text)
	for _, col := range s.keys {
		if s.nulls && col.IsNull(i) {
			s.text = s.text[:start]
			return nil
		}
		s.text = flow.AppendKey(s.text, col, i)
	}
	if len(s.text)-start > maxSeenKey {
		h := flow.Hash(s.text[start:])
		s.text = binary.LittleEndian.AppendUint64(append(s.text[:start], 0xff), h)
	}
	return s.text[start:len(s.text):len(s.text)]
}

// before says whether the row of a key was seen, and remembers it otherwise.
func (s *seen) before(key *state.Sought, received int64) bool {
	now := max(received, s.last+1)
	within := s.o.Within.Microseconds()
	at := s.table.I64(0)
	for s.head < len(s.order) && at[s.order[s.head]] < now-within {
		s.forget()
	}
	slot, fresh, err := s.table.SlotOf(key)
	if err != nil || !fresh {
		return err == nil
	}
	for s.table.Len() > s.o.Max {
		s.forget()
	}
	s.table.I64(0)[slot] = now
	s.table.Touch(slot)
	s.order = append(s.order, slot)
	s.last = now
	return false
}

// forget forgets the row that was seen first.
func (s *seen) forget() {
	s.table.Delete(s.order[s.head])
	s.head++
	if s.head > 1024 && s.head > len(s.order)/2 {
		s.order = s.order[:copy(s.order, s.order[s.head:])]
		s.head = 0
	}
}
