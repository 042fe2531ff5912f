package window

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Windows whose rows come from several partitions are made in two phases:
//
//	partition 0 ─rows─▶ parts ─┐  | by | window_start | part~1f0a...  |
//	partition 1 ─rows─▶ parts ─┼─▶ a channel spread by the first of by ─▶ merging ─▶ windows
//	partition 2 ─rows─▶ parts ─┘
//
//	part      rows i64 | _received of the latest i64 | words of the accumulators i64*n | for each with bytes: length uvarint, bytes
//	          session: rows i64 | _received of the latest i64 | time of the last row i64 | words ...; window_start is that of the first row
//
// A part holds what a pane of a group has got in one partition since the part before it went out. Its _time is the
// watermark of the group in that partition; a row that holds no part, and no window_start, tells of that alone.
//
// Parts leave at clock ticks: as a rule once the tick has passed the window's end and grace, so that one part goes out
// for many rows, and at once what comes later. A row counts for a watermark as no later than it was received, and so no
// watermark passes the end of a window before all partitions have sent their parts of it. Merging judges a
// part as it would judge its rows: what comes in one tick interval meets one watermark (run/doc.go). So lateness,
// revisions and what is early are those of one phase, for any number of partitions.

// Parts of sessions are of rows that stand together between two multiples of the gap, and so are in one session:
//
//	gap        |         |         |         |         |
//	rows       |     x   |x    x x |         |  x      |
//	parts            lo   lo ... hi             lo             merging places lo with all that is in the part, and then hi
//
// No session that is near a row ends before the row's own time and a grace. So a part leaves with the first tick that is a grace behind its first
// row, before the watermark of that tick, and nothing that a row in it is near to has ended by then, with the row or without. A row that comes when
// a tick has been a grace behind it may be near a session that has ended, be late, or have another be in time: it is a part by itself, which goes
// out at once, and so in the order of rows. Where sessions end is not known in a partition: it tells its watermarks at each tick that moved them.

// With late = "side" a row that may be late is a part by itself, with its text as JSON in a further column, row~: merging
// rejects it if it is. A row is late at the earliest when a tick has passed its window's end and grace.

// rowName is the column of texts of rows that may be late.
const rowName = "row~"

// partDigits is how much of a layout's hash is in the name of the column.
const partDigits = 8

// partName begins the name of the column that holds parts; no name in a file has a ~.
const partName = "part~"

func (s *settings) checkPhases() hcl.Diagnostics {
	if s.kind > session || s.phases == 1 || s.phases == 2 || s.kind == session && s.phasesRange == (hcl.Range{}) {
		return nil
	}
	return config.Errorf(s.phasesRange, "Wrong number of phases", "phases is %d; a window is made in 1 or 2.", s.phases)
}

// watchRegroup notes whether the rows are to be regrouped.
func (s *settings) watchRegroup(at *stage.At) *bool {
	asked := new(bool)
	if ask := at.Regroup; ask != nil {
		at.Regroup = func(by []string) {
			*asked = true
			ask(by)
		}
	}
	return asked
}

// bindPhases says how a window over rows of several partitions is made in two phases, or why it cannot be.
func (s *settings) bindPhases(p *program, g *aggregates, ch *config.Channel, b *stage.Bound) {
	switch {
	case s.kind == counting || s.kind == holding:
		b.Whole = "it depends on the order of the rows of all partitions"
	case p.latest:
		b.Whole = "a part cannot be taken back when a row in it is revised"
	case s.phases == 1:
		b.Whole = "phases = 1 asks for it"
	case s.kind == session && p.early > 0:
		b.Whole = "early shows sessions that are open, in the order in which their rows came"
	case s.kind == session && p.idle > 0:
		b.Whole = "idle shows sessions that are open, in the order in which their rows came"
	case s.kind == session && p.grace == 0 && s.phases != 2:
		b.Whole = "without a grace hardly a row could wait for others in its partition; phases = 2 asks for parts"
	default:
		first := *p
		first.layout = p.layoutOf(g)
		fields := append(p.keyFields(), arrow.Field{Name: "window_start", Type: flow.Timestamp, Nullable: true},
			arrow.Field{Name: first.layout, Type: arrow.BinaryTypes.String, Nullable: true})
		if p.late == side {
			fields = append(fields, arrow.Field{Name: rowName, Type: arrow.BinaryTypes.String, Nullable: true})
		}
		out := flow.NewSchema(fields)
		b.First = &stage.Bound{
			Out: out, By: b.By, Filters: true, Reads: b.Reads, State: first.partTables(g, ch),
			Revisions: stage.TakesFirst, Reach: p.partLength() + p.grace,
			OpenStage: func(o stage.Opening) (stage.Stage, error) { return openParts(first, out, o) },
		}
	}
}

// missPhases says where two phases are asked for and cannot be had.
func (s *settings) missPhases(b *stage.Bound) hcl.Diagnostics {
	if b.Whole == "" || s.phases != 2 || s.phasesRange.Filename == "" {
		return nil
	}
	return config.Warnf(s.phasesRange, "One phase", "phases = 2 changes nothing here: %s. So the rows themselves go to one partition.", b.Whole)
}

// partLength is how far rows of one part may be apart.
func (p *program) partLength() int64 {
	if p.kind == session {
		return p.gap
	}
	return p.every
}

// layoutOf names the column that holds parts. It differs when what is in them does.
func (p *program) layoutOf(g *aggregates) string {
	text := fmt.Sprintf("%d %d %d %d %s", p.kind, p.every, p.offset, p.words, strings.Join(g.names, " "))
	if p.kind == session {
		text += fmt.Sprintf(" gap %d", p.gap)
	}
	return fmt.Sprintf("%s%016x", partName, flow.Hash([]byte(text)))[:len(partName)+partDigits]
}

// partTables declares the state of the first phase.
//
//	table groups, a slot for each combination of by's values
//	  words i64*4  watermark | watermark that was told | _received of the latest row | that of the latest row in a part that went out
//	  links u32*2  parts | 1 once filled in
//
//	table parts, by slot of the group and start
//	  cells i64*n  start | rows | _received of the latest | unused | words of the accumulators
//	               session: time of the first row | rows | _received of the latest | unused | time of the last row | unused | words
//	  group u32
func (p *program) partTables(g *aggregates, ch *config.Channel) []state.Decl {
	digest := "parts"
	for _, c := range p.by {
		digest += fmt.Sprintf(" %q:%s", c.Name, expr.TypeName(c.Type))
	}
	if p.kind == session {
		digest += fmt.Sprintf(" gap %d", p.gap)
	}
	digest += fmt.Sprintf(" every %d offset %d of %s", p.every, p.offset, strings.Join(g.names, " "))
	groups := state.Decl{Name: "groups", Digest: digest, MaxKeys: stage.MaxKeys(ch), Columns: []state.Column{
		{Name: "words", Type: state.I64, Width: partGroupWords}, {Name: "links", Type: state.U32, Width: partGroupLinks},
	}, Beside: 32} // its lane
	parts := state.Decl{Name: "parts", Digest: digest, Columns: []state.Column{{Name: "cells", Type: state.I64, Width: p.words}, {Name: "group", Type: state.U32}}}
	for i, a := range p.accs {
		if a.col >= 0 {
			parts.Columns = append(parts.Columns, state.Column{Name: g.names[i], Type: state.Bytes})
		}
	}
	parts.MaxKeys = min(maxPanes, maxPaneBytes/(8*p.words+64))
	parts.KeysPlanned = 2 * 10_000
	if p.kind == session { // of those that report all the time
		parts.KeysPlanned = int(min(p.grace/p.gap+2, int64(parts.MaxKeys/10_000))) * 10_000
	}
	decls := []state.Decl{groups, parts}
	if p.early > 0 {
		decls = append(decls, state.Decl{Name: "early", Digest: fmt.Sprint("1 ", p.early), MaxKeys: 1, KeysPlanned: 1, Columns: []state.Column{{Name: "period", Type: state.I64}}})
	}
	if p.noticesTicks() {
		decls = append(decls, state.Decl{Name: "tick", Digest: "1", MaxKeys: 1, KeysPlanned: 1, Columns: []state.Column{{Name: "tick", Type: state.I64}}})
	}
	return decls
}

// appendPart appends what a part holds.
func (w *window) appendPart(dst []byte, p uint32) []byte {
	c := w.cells(p)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(c[partRows]))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(c[paneReceived]))
	if w.kind == session {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c[partLatest]))
	}
	for _, v := range c[w.meta:] {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	for i := range w.accs {
		if col := w.accs[i].col; col >= 0 {
			raw := w.panes.Bytes(col, p)
			dst = append(binary.AppendUvarint(dst, uint64(len(raw))), raw...)
		}
	}
	return dst
}

// merging is the second phase: a window whose rows are parts.
type merging struct{ *window }

var _ stage.Stage = merging{}

func openMerging(p program, o stage.Opening) (stage.Stage, error) {
	w, err := open(p, o)
	if err != nil {
		return nil, err
	}
	w.part = make([]int64, p.words)
	return merging{w}, nil
}

// Process merges parts into windows.
func (m merging) Process(in int, rows arrow.RecordBatch, out flow.Emitter) error {
	blobs, starts := rows.Column(rows.Schema().FieldIndices(m.layout)[0]), rows.Column(m.startColumn())
	if blobs.NullN() == 0 {
		return m.window.Process(in, rows, out)
	}
	var sel []int32
	for i := range blobs.Len() {
		switch {
		case blobs.IsValid(i):
			sel = append(sel, int32(i))
		case starts.IsValid(i):
			m.o.Reject(stage.Reject{Rows: rows, Row: i, Field: m.layout, Reason: "a part of a window that was made before its length, gap or aggregates changed"})
		}
	}
	if len(sel) == 0 {
		return nil
	}
	some := flow.Take(rows, sel, m.o.Alloc)
	defer some.Release()
	return m.window.Process(in, some, out)
}

// startColumn is where window_start stands in rows of parts.
func (w *window) startColumn() int { return flow.MetaColumns + len(w.by) }

// beginParts takes the columns of parts.
func (w *window) beginParts() {
	w.times = w.rows.Column(w.startColumn()).(*array.Timestamp).TimestampValues()
	w.blobs = w.rows.Column(w.rows.Schema().FieldIndices(w.layout)[0]).(*array.String)
}

// rowsOf is how many rows row i stands for.
func (w *window) rowsOf(i int) int64 {
	if !w.parts {
		return 1
	}
	return int64(binary.LittleEndian.Uint64([]byte(w.blobs.Value(i)[:8])))
}

// latestOf is the time of the last row of the part of a session in row i.
func (w *window) latestOf(i int) int64 {
	return int64(binary.LittleEndian.Uint64([]byte(w.blobs.Value(i)[16:24])))
}

// textOfRow is the text of a row that stands for itself in a part; nil when it is in the batch.
func (w *window) textOfRow(i int) []byte {
	if !w.parts {
		return nil
	}
	return []byte(w.rows.Column(w.rows.Schema().FieldIndices(rowName)[0]).(*array.String).Value(i))
}

// addParts is add for parts.
func (w *window) addParts(lo, hi int) {
	offsets, indexes := flow.Offsets(w.rows), flow.Indexes(w.rows)
	for i := lo; i < hi; i++ {
		p := w.idx[i]
		if p == noPane {
			continue
		}
		raw := w.readPart(w.blobs.Value(i))
		c := w.cells(p)
		c[paneOffset], c[paneReceived], c[paneIndex] = offsets[i], max(c[paneReceived], w.part[paneReceived]), int64(indexes[i])
		copy(w.part[paneOffset:w.meta], c[paneOffset:w.meta])
		w.mergePart(p, raw)
	}
}

// readPart reads the words of a part into w.part, and returns the bytes behind them.
func (w *window) readPart(text string) []byte {
	b := []byte(text)
	word := func() int64 {
		v := int64(binary.LittleEndian.Uint64(b))
		b = b[8:]
		return v
	}
	_, w.part[paneReceived] = word(), word()
	if w.kind == session {
		word() // latestOf
	}
	for i := range w.part[w.meta:] {
		w.part[w.meta+i] = word()
	}
	return b
}

// mergePart merges w.part and the bytes that belong to it into a pane.
func (w *window) mergePart(p uint32, raw []byte) {
	d := w.cells(p)
	for i := range w.accs {
		a := &w.accs[i]
		if a.col < 0 {
			continue
		}
		n, k := binary.Uvarint(raw)
		text := raw[k : k+int(n)]
		raw = raw[k+int(n):]
		switch a.kind {
		case accSketch:
			w.drawn[i].add(w.panes, a.col, p, text)
		case accUnique:
			w.uniq[i].add(w.panes, a.col, p, text)
		case accSeries:
			w.lists[i].add(w.panes, a.col, p, text)
		case accTop:
			w.tops[i].add(w.panes, a.col, p, text)
		default:
			if a.better(d[a.at:a.at+a.n], w.part[a.at:a.at+a.n], w.panes.Bytes(a.col, p), text) {
				w.panes.SetBytes(a.col, p, slices.Clone(text))
			}
		}
	}
	w.mergeWords(d, w.part)
	w.panes.Touch(p)
}

// add merges a stored sketch into that of a pane.
func (s *sketches[T]) add(t *state.Table, col int, pane uint32, stored []byte) {
	if s.joined == nil {
		s.joined = s.fresh()
	}
	s.clear(s.joined)
	if len(stored) > 0 {
		if err := s.read(s.joined, stored); err != nil {
			panic(fmt.Sprintf("BUG: a part of a window holds a damaged sketch: %v", err))
		}
	}
	s.merge(s.at(t, col, pane, true), s.joined)
}
