package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

var _ stage.Sink = (*feed)(nil)

// feed is the sink through which a pipeline feeds a channel: a log with a partition for every pair of a task
// that gives rows (a lane) and a partition of the channel that they go to. feed_rows.go draws its records.
//
//	task 0 ──lane 0──▶ 0·P+0 ─▶ task 0 of the channel takes 0·P+0, 1·P+0, ... in turn,
//	                   0·P+1     whole tick intervals, in the order of lanes (merge.go)
//	task 1 ──lane 1──▶ 1·P+0
//	                   1·P+1
//
// As with a spool, what was appended can be read once the checkpoint that holds the token is durable, and
// what a crash leaves behind the token is void.
type feed struct {
	engine       *Engine
	key          string
	lanes, parts int
	log          journal.Log
	appender     journal.Appender

	buf     []byte
	waiting []waiting
	last    []lastRows // by partition of the log
	voids   [][][2]uint64
	schemas atomic.Pointer[[]*arrow.Schema] // by number; only ever longer

	committed     []atomic.Uint64 // by partition of the log: what may be read
	committedRows []atomic.Uint64 // likewise: behind the last rows
	dirty, fresh  atomic.Bool     // something, or rows, were written since the last Prepare
}

// lastRows is where rows stand last in a partition of the log.
type lastRows struct {
	end   uint64 // offset behind them, as of the last Prepare
	some  bool   // there were rows since
	after int    // records after them, if so
}

// waiting is a record in buf.
type waiting struct{ part, from, to int }

// feedToken tells where the committed part of a feed ends, by partition of its log.
type feedToken struct {
	End     []uint64       `json:"end"`
	Rows    []uint64       `json:"rows"`            // the offset behind the last record of rows
	Voids   [][][2]uint64  `json:"voids,omitempty"` // offsets [from, to) that hold nothing
	Schemas [][]fieldState `json:"schemas"`
}

// feedKey names a feed's log: who feeds it, from which tasks, and how its rows are spread.
func feedKey(n *plan.Node, homes []*plan.Channel) string {
	to := n.Feeds.Config
	key := fmt.Sprintf("%s to %s by %s in %d from", n.Address, to.Name, to.Key, to.Partitions)
	for _, h := range homes {
		key += fmt.Sprintf(" %s*%d", h.Config.Name, h.Config.Partitions)
	}
	return key
}

// feedDir is where a feed's log lies.
func (e *Engine) feedDir(channel, key string) string {
	return path.Join(e.o.Data, "feeds", channel, fmt.Sprintf("%016x", flow.Hash([]byte(key))))
}

// openFeed opens a feed as the last checkpoint knows it.
func (e *Engine) openFeed(key, channel string, lanes, parts int, keep time.Duration, token []byte) (*feed, error) {
	n := lanes * parts
	f := &feed{engine: e, key: key, lanes: lanes, parts: parts, last: make([]lastRows, n), voids: make([][][2]uint64, n),
		committed: make([]atomic.Uint64, n), committedRows: make([]atomic.Uint64, n)}
	t := feedToken{End: make([]uint64, n), Rows: make([]uint64, n)}
	if token != nil {
		if err := json.Unmarshal(token, &t); err != nil || len(t.End) != n || len(t.Rows) != n {
			return nil, fmt.Errorf("the token of %s does not fit: %w", key, err)
		}
	}
	var err error
	f.log, err = journal.Open(e.env, e.feedDir(channel, key), journal.Options{
		Partitions: n, SegmentBytes: cmp.Or(e.o.SegmentBytes, spoolSegment), BlockBytes: e.o.BlockBytes,
		RetainFor: max(keep, time.Microsecond), Floor: t.End,
		Report: func(d journal.Damage) { e.reportDamage(channel, d) },
	})
	if err != nil {
		return nil, err
	}
	f.appender = f.log.Appender()
	f.takeBack(&t)
	return f, nil
}

// takeBack makes void what came after the token.
func (f *feed) takeBack(t *feedToken) {
	var schemas []*arrow.Schema
	for _, s := range t.Schemas {
		schemas = append(schemas, schemaOf(fieldsOf(s)))
	}
	f.schemas.Store(&schemas)
	for p := range f.voids {
		earliest, end := f.log.Bounds(p)
		if p < len(t.Voids) {
			for _, v := range t.Voids[p] {
				if v[1] > earliest {
					f.voids[p] = append(f.voids[p], v)
				}
			}
		}
		if from := max(t.End[p], earliest); end > from {
			f.voids[p] = append(f.voids[p], [2]uint64{from, end})
		}
		f.last[p].end = t.Rows[p]
	}
	f.show(t)
}

func (f *feed) show(t *feedToken) {
	for p := range f.committed {
		f.committedRows[p].Store(t.Rows[p])
		f.committed[p].Store(t.End[p])
	}
}

func schemaOf(fields []decode.Field) *arrow.Schema {
	var out []arrow.Field
	for _, f := range fields {
		out = append(out, arrow.Field{Name: f.Name, Type: f.Type, Nullable: true})
	}
	return flow.NewSchema(out)
}

// number returns the number of a schema.
func (f *feed) number(s *arrow.Schema) (uint16, error) {
	have := *f.schemas.Load()
	for i, old := range have {
		if old.Equal(s) {
			return uint16(i), nil
		}
	}
	const most = 10_000 // each stands in every token
	if len(have) == most {
		return 0, fmt.Errorf("%s has had %d schemas, which is the limit: give the channel another name", f.key, most)
	}
	now := append(have[:len(have):len(have)], s)
	f.schemas.Store(&now)
	return uint16(len(have)), nil
}

// schema returns the schema of a number.
func (f *feed) schema(no int) (*arrow.Schema, error) {
	if have := *f.schemas.Load(); no < len(have) {
		return have[no], nil
	}
	return nil, fmt.Errorf("it is of schema %d, which there is not", no)
}

// room appends what waits when it is much.
func (f *feed) room() error {
	if len(f.buf) < spoolPart {
		return nil
	}
	return f.flush()
}

// add notes that what was appended to buf since from is a record.
func (f *feed) add(part, from int, rows bool) {
	f.waiting = append(f.waiting, waiting{part, from, len(f.buf)})
	f.dirty.Store(true)
	last := &f.last[part]
	last.after++
	if rows {
		f.fresh.Store(true)
		last.some, last.after = true, 0
	}
}

// cut tells all partitions of the channel how far a lane has come.
func (f *feed) cut(lane int, time int64, ended bool) error {
	if err := f.room(); err != nil {
		return err
	}
	for p := range f.parts {
		from := len(f.buf)
		f.buf = appendCut(f.buf, time, ended)
		f.add(lane*f.parts+p, from, false)
	}
	return nil
}

func (f *feed) flush() error {
	if len(f.waiting) > 0 {
		records := make([]journal.Record, len(f.waiting))
		now := f.engine.env.Clock.Now().UnixMicro()
		for i, w := range f.waiting {
			records[i] = journal.Record{Partition: w.part, Payload: f.buf[w.from:w.to], Received: now}
		}
		if err := f.appender.Append(journal.Batch{Records: records}); err != nil {
			return spoolError(err)
		}
		f.buf, f.waiting = f.buf[:0], f.waiting[:0]
	}
	return spoolError(f.appender.Flush())
}

// Write is not called: rows come through a router.
func (f *feed) Write(context.Context, int, arrow.RecordBatch) error {
	panic("BUG: rows for a channel without the lane that they come from")
}

// Prepare makes durable what was written.
func (f *feed) Prepare(context.Context, uint64) ([]byte, error) {
	if err := f.flush(); err != nil {
		return nil, err
	}
	t := feedToken{Voids: f.voids}
	for p := range f.last {
		_, end := f.log.Bounds(p)
		last := &f.last[p]
		if last.some {
			last.end, last.some = end-uint64(last.after), false
		}
		t.End, t.Rows = append(t.End, end), append(t.Rows, last.end)
	}
	for _, s := range *f.schemas.Load() {
		states := []fieldState{}
		for _, x := range flow.UserFields(s) {
			states = append(states, fieldState{Name: x.Name, Type: expr.TypeName(x.Type)})
		}
		t.Schemas = append(t.Schemas, states)
	}
	f.dirty.Store(false)
	f.fresh.Store(false)
	return json.Marshal(t)
}

// Commit lets the tasks of the channel read what the token covers.
func (f *feed) Commit(_ context.Context, token []byte) error {
	var t feedToken
	if err := json.Unmarshal(token, &t); err != nil {
		return fmt.Errorf("the feed's token: %w", err)
	}
	f.show(&t)
	f.engine.taskBell.ring()
	return nil
}

// Recover has nothing to do: openFeed has done it.
func (f *feed) Recover(context.Context, []byte) error { return nil }

// Close closes the log.
func (f *feed) Close() error { return f.log.Close() }

func (f *feed) void(part int, offset uint64) bool {
	for _, v := range f.voids[part] {
		if v[0] <= offset && offset < v[1] {
			return true
		}
	}
	return false
}

// router takes rows as one plan makes them to their partitions of a feed.
type router struct {
	feed  *feed
	sides []*arrow.Schema // that the channel has; the feed's input tells which where there are several
	keys  []string        // by side; "" where all rows go to partition 0
	maps  map[shape][]int
	key   []byte
	sel   [][]int32 // by partition
}

// shape is what rows look like that come for a side.
type shape struct {
	schema *arrow.Schema
	side   int
}

func newRouter(f *feed, ch *plan.Channel) *router {
	r := &router{feed: f, sides: ch.Schemas(), maps: map[shape][]int{}, sel: make([][]int32, f.parts)}
	for i := range r.sides {
		r.keys = append(r.keys, ch.KeyOf(i))
	}
	return r
}

// columns tells where in rows of a schema the columns of a side stand. A learned column of another type than
// planned is left out: a partition whose records use it so has rejected them, or never fills it.
func (r *router) columns(s *arrow.Schema, no int) []int {
	side := r.sides[no]
	if cols, ok := r.maps[shape{s, no}]; ok {
		return cols
	}
	cols := make([]int, 0, side.NumFields()-flow.MetaColumns)
	for _, f := range flow.UserFields(side) {
		at := s.FieldIndices(f.Name)
		if len(at) == 1 && arrow.TypeEqual(s.Field(at[0]).Type, f.Type) {
			cols = append(cols, at[0])
		} else {
			cols = append(cols, -1)
		}
	}
	const most = 1_000 // a schema grows a field at a time
	if len(r.maps) == most {
		clear(r.maps)
	}
	r.maps[shape{s, no}] = cols
	return cols
}

// write appends rows, borrowed, that came by a lane as input in. After an error nothing of them was taken.
func (r *router) write(lane, in int, rows arrow.RecordBatch) error {
	if err := r.feed.room(); err != nil {
		return err
	}
	side := 0
	if len(r.sides) > 1 {
		side = in
	}
	no, err := r.feed.number(r.sides[side])
	if err != nil {
		return errors.Join(err, stage.ErrBroken)
	}
	cols := r.columns(rows.Schema(), side)
	put := func(p int, rows arrow.RecordBatch) {
		f := r.feed
		from := len(f.buf)
		f.buf = appendRows(f.buf, no, uint8(side), rows, cols)
		f.add(lane*f.parts+p, from, true)
	}
	if !r.spread(side, cols, rows) {
		put(0, rows)
		return nil
	}
	for p, sel := range r.sel {
		if len(sel) == 0 {
			continue
		}
		part := flow.Take(rows, sel, r.feed.engine.alloc)
		put(p, part)
		part.Release()
	}
	return nil
}

// spread finds the partition of each row; false says that all go to partition 0.
func (r *router) spread(side int, cols []int, rows arrow.RecordBatch) bool {
	name := r.keys[side]
	if r.feed.parts == 1 || name == "" {
		return false
	}
	at := r.sides[side].FieldIndices(name)[0] - flow.MetaColumns
	if cols[at] < 0 {
		return false
	}
	for p := range r.sel {
		r.sel[p] = r.sel[p][:0]
	}
	col := rows.Column(cols[at])
	text, isText := col.(*array.String)
	for i := range int(rows.NumRows()) {
		if isText {
			r.key = append(r.key[:0], text.Value(i)...)
			if text.IsNull(i) {
				r.key = r.key[:0]
			}
		} else {
			r.key = flow.AppendKey(r.key[:0], col, i)
		}
		p := flow.PartitionOf(flow.Hash(r.key), r.feed.parts)
		r.sel[p] = append(r.sel[p], int32(i))
	}
	return true
}

// feedRef is a feed that a task reads.
type feedRef struct {
	*feed
	left bool // nobody writes there any more
}

// feedsOf lists the feeds of a channel, in an order that depends on the plan alone, and behind them those that the task's
// lanes still stand in though the plan has them no more.
func (e *Engine) feedsOf(ch *plan.Channel, lanes []laneState) ([]feedRef, error) {
	var out []feedRef
	have := map[string]bool{}
	for _, s := range e.sinkOrder {
		if s.feed != nil && s.node.Feeds.Config.Name == ch.Config.Name {
			out = append(out, feedRef{feed: s.feed})
			have[s.feed.key] = true
		}
	}
	for _, l := range lanes {
		if have[l.Feed] {
			continue
		}
		have[l.Feed] = true
		f, err := e.leftFeed(ch, l.Feed)
		if err != nil {
			return nil, err
		}
		out = append(out, feedRef{f, true})
	}
	return out, nil
}

// leftFeed returns a feed that the plan no longer has.
func (e *Engine) leftFeed(ch *plan.Channel, key string) (*feed, error) {
	f := e.left[key]
	if f == nil && e.before != nil {
		f = e.before.feed(key)
	}
	if f == nil {
		token := e.coord.last.Tokens[key]
		var t feedToken
		if err := json.Unmarshal(token, &t); err != nil {
			return nil, fmt.Errorf("the token of %s, which is not in the files any more: %w", key, err)
		}
		parts := ch.Config.Partitions
		var err error
		if f, err = e.openFeed(key, ch.Config.Name, len(t.End)/parts, parts, ch.Config.Retention, token); err != nil {
			return nil, err
		}
	}
	e.left[key] = f
	return f, nil
}

// refuseOther refuses a channel that was fed in another way when the checkpoint was taken.
func refuseOther(ch *plan.Channel, parts map[string]*restored) error {
	r := parts[partID(ch.Config.Name, 0)]
	if r == nil || r.state.Next == 0 && r.state.Lanes == nil || ch.Fed == (r.state.Lanes != nil) {
		return nil
	}
	return fmt.Errorf("channel.%s cannot change between records of ingests and rows of pipelines: make another channel", ch.Config.Name)
}
