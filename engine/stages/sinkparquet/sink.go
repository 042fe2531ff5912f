package sinkparquet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
	"github.com/tidemill/tidemill/engine/stage"
)

// sink gathers rows and writes them as files.
type sink struct {
	op    stage.Opening
	opts  *options
	store objects.Store
	notes objects.Store // in the data folder
	table *ledger.Ledger
	tidy  bool // what a crash left is gone
	ready bool // and the views are written

	place  uint64 // of the next Write
	from   int    // its partition
	tick   int64  // the latest, us
	upkept int64  // tick of the latest upkeep
	stuck  bool   // a file is damaged: no merging until the next start
	held   *held
	room   []byte            // where the next file is made
	shapes map[string]*shape // by text of the schema that comes in
}

// shape is what becomes of batches of one schema.
type shape struct {
	schema  *arrow.Schema // of files
	take    []int         // columns of a batch
	digest  string
	encoder *parquet.Encoder
	columns []ledger.Column
}

func open(op stage.Opening, o *options) (stage.Sink, error) {
	store, err := objects.Open(op.Env, o.place.Below(op.DataDir))
	if err != nil {
		return nil, err
	}
	notes, err := objects.Open(op.Env, objects.Config{Place: path.Join(op.DataDir, "lake")})
	if err != nil {
		return nil, err
	}
	return &sink{op: op, opts: o, store: store, notes: notes, shapes: map[string]*shape{}, held: newHeld(o)}, nil
}

// note is what the data folder remembers of a table: see ledger, "What is a life?".
type note struct {
	Life int `json:"life"`
}

func (s *sink) noteName() string {
	return objects.Checksum([]byte(s.op.Address+" "+s.opts.identity)) + ".json"
}

// Recover waits for a server only when the first row comes: a bucket that is out of
// reach must not keep the engine from starting.
func (s *sink) Recover(ctx context.Context, _ []byte) error {
	if objects.S3(s.opts.place.Place) {
		return nil
	}
	return s.openTable(ctx)
}

// openTable opens the list of files unless it is open. What has been done of it is
// not done again after an error, so that a bad connection needs a few good moments and no long one.
func (s *sink) openTable(ctx context.Context) error {
	if s.ready {
		return nil
	}
	if s.table == nil {
		if err := s.readList(ctx); err != nil {
			return err
		}
	}
	if !s.tidy {
		if err := s.table.Tidy(ctx); err != nil {
			return fmt.Errorf("%s: %w", describe(s.opts), err)
		}
		s.tidy = true
	}
	err := s.table.Views(ctx)
	s.ready = err == nil
	return err
}

func (s *sink) readList(ctx context.Context) error {
	var n note
	data, _, err := s.notes.Get(ctx, s.noteName())
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	if err == nil { // a killed process may have renamed it, and no more: it is durable before a list is of its life
		_, err = s.notes.Put(ctx, s.noteName(), data, objects.Condition{})
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("what the data folder notes of %s cannot be read: %w", describe(s.opts), err)
	}
	table, err := ledger.Open(ctx, s.op.Env, s.store, ledger.Options{
		Table: s.opts.table, Shape: s.opts.shape, Life: n.Life, Grace: s.opts.grace,
		Note: func(life int) error {
			data, err := json.Marshal(note{life})
			if err == nil {
				_, err = s.notes.Put(ctx, s.noteName(), data, objects.Condition{})
			}
			return err
		},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", describe(s.opts), err)
	}
	s.table = table
	return nil
}

// Place tells where the next write stands in the spool.
func (s *sink) Place(place uint64) { s.place = place }

// From tells which partition of the channel it comes from.
func (s *sink) From(partition int) { s.from = partition }

// Kept is the place of the first row that is not published.
func (s *sink) Kept(next uint64) uint64 {
	if s.held.rows > 0 {
		return s.held.first
	}
	return next
}

func (s *sink) Write(ctx context.Context, in int, rows arrow.RecordBatch) error {
	if err := s.openTable(ctx); err != nil {
		return err
	}
	if s.place < s.table.Next() {
		return nil // published before a crash
	}
	// What may fail comes before the rows are taken, so that they can come again.
	if s.held.full(s.opts) {
		if err := s.publish(ctx); err != nil {
			return err
		}
	}
	sh, err := s.shapeOf(rows.Schema())
	if err != nil {
		return err
	}
	s.held.take(s, sh, in, rows)
	return nil
}

func (s *sink) Tick(ctx context.Context, tick int64, ended bool) error {
	if err := s.openTable(ctx); err != nil {
		return err
	}
	s.tick = tick
	if s.place < s.table.Next() {
		return nil
	}
	h := s.held
	if h.rows > 0 && h.since == 0 {
		h.since = max(tick, 1)
	}
	if h.rows > 0 && (ended || h.full(s.opts) || tick-h.since >= s.opts.age) {
		return s.publish(ctx)
	}
	if tick-s.upkept >= upkeepEvery {
		return s.upkeep(ctx)
	}
	return nil
}

// metaFields are the columns that every file has behind those of its rows.
func metaFields() []arrow.Field {
	return []arrow.Field{
		{Name: "_partition", Type: arrow.PrimitiveTypes.Int32},
		{Name: "_offset", Type: arrow.PrimitiveTypes.Int64},
		{Name: "_index", Type: arrow.PrimitiveTypes.Int32},
		{Name: "_received", Type: flow.Timestamp},
		{Name: "_time", Type: flow.Timestamp},
	}
}

// shapeOf returns what becomes of rows of a schema.
func (s *sink) shapeOf(in *arrow.Schema) (*shape, error) {
	text := in.String()
	if sh := s.shapes[text]; sh != nil {
		return sh, nil
	}
	sh := &shape{}
	var fields []arrow.Field
	for i, f := range flow.UserFields(in) {
		if !parquet.Writable(f.Type) {
			continue // of no type yet, so there is nothing in it
		}
		c := ledger.Column{Name: f.Name, Type: typeName(f.Type), Unit: s.opts.units[f.Name]}
		out := arrow.Field{Name: f.Name, Type: f.Type, Nullable: true}
		if c.Unit != "" {
			out.Metadata = arrow.MetadataFrom(map[string]string{"unit": c.Unit})
		}
		fields, sh.columns = append(fields, out), append(sh.columns, c)
		sh.take = append(sh.take, flow.MetaColumns+i)
	}
	fields = append(fields, metaFields()...)
	sh.schema = arrow.NewSchema(fields, nil)
	sh.digest = objects.Checksum([]byte(sh.schema.String()))
	var err error
	if sh.encoder, err = parquet.NewEncoder(sh.schema); err != nil {
		return nil, err
	}
	if len(s.shapes) >= maxShapes {
		clear(s.shapes) // what is held has its own
	}
	s.shapes[text] = sh
	return sh, nil
}

// maxShapes is how many schemas are remembered at a time.
const maxShapes = 64

// convert makes of a batch what stands in files. The caller releases it.
func (sh *shape) convert(rows arrow.RecordBatch, partition int, alloc memory.Allocator) arrow.RecordBatch {
	n := int(rows.NumRows())
	buf := memory.NewResizableBuffer(alloc)
	buf.Resize(4 * n)
	for i := range arrow.Int32Traits.CastFromBytes(buf.Bytes())[:n] {
		arrow.Int32Traits.CastFromBytes(buf.Bytes())[i] = int32(partition)
	}
	data := array.NewData(arrow.PrimitiveTypes.Int32, n, []*memory.Buffer{nil, buf}, nil, 0, 0)
	own := array.MakeFromData(data)
	data.Release()
	buf.Release()
	defer own.Release()
	cols := make([]arrow.Array, 0, len(sh.take)+5)
	for _, at := range sh.take {
		cols = append(cols, rows.Column(at))
	}
	cols = append(cols, own, rows.Column(flow.ColOffset), rows.Column(flow.ColIndex), rows.Column(flow.ColReceived), rows.Column(flow.ColTime))
	return array.NewRecordBatch(sh.schema, cols, int64(n))
}

// Prepare has nothing to make durable: what is not published comes again out of the spool.
func (s *sink) Prepare(context.Context, uint64) ([]byte, error) { return []byte{1}, nil }
func (s *sink) Commit(context.Context, []byte) error            { return nil }

func (s *sink) Close() error {
	s.held.release()
	return nil
}

var (
	_ stage.Sink   = (*sink)(nil)
	_ stage.Placed = (*sink)(nil)
	_ stage.Keeper = (*sink)(nil)
)
