package anomaly

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*anomaly)(nil)

type anomaly struct {
	program
	o     stage.Opening
	table *state.Table // a slot a key
	keys  stage.Keys
	d     *detect.Detector
	m     *models

	slots   []uint32
	order   []int32
	x       []float64
	verdict detect.Verdict
	seen    Seen // nil: nobody looks on
}

func open(p program, o stage.Opening) (*anomaly, error) {
	d, err := detect.New(p.cfg)
	if err != nil {
		return nil, fmt.Errorf("BUG: a detector that was bound cannot be made: %w", err)
	}
	a := &anomaly{program: p, o: o, table: o.Tables[0], keys: stage.Keys{By: p.by}, d: d, x: make([]float64, len(p.on))}
	a.m = openModels(&a.program, d, o.Tables)
	a.seen = a.watched()
	return a, nil
}

// Close has nothing to release.
func (a *anomaly) Close() error { return nil }

// Advance has nothing to do: a row is judged when it comes.
func (a *anomaly) Advance(int, flow.Watermarks, flow.Emitter) error { return nil }

// Process judges each row, those of one key after another.
func (a *anomaly) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	rows = a.keys.FitOrReject(rows, a.table, &a.o)
	defer rows.Release()
	if rows.NumRows() == 0 {
		return nil
	}
	var err error
	if a.slots, err = a.keys.Intern(rows, a.o.Alloc, a.table, a.slots); err != nil {
		return err
	}
	n := len(a.slots)
	a.order = a.order[:0]
	for i := range n {
		a.order = append(a.order, int32(i))
	}
	slices.SortStableFunc(a.order, func(i, k int32) int { return cmp.Compare(a.slots[i], a.slots[k]) })
	in := a.inputs(rows)
	defer in.release()
	a.d.Silence(a.silent())
	res := newResult(len(a.on), n)
	times, marks, received := flow.Times(rows), flow.Marks(rows), flow.Received(rows)
	for _, i := range a.order {
		a.row(int(i), flow.Believed(int64(times[i]), marks[i], int64(received[i])), in, res)
	}
	out.Emit(a.batch(rows, in, res, n))
	return nil
}

// silent is what nobody reads just now; whoever looks on from outside sees all.
func (a *anomaly) silent() detect.Silent {
	if a.o.Read == nil || a.seen != nil {
		return detect.Silent{}
	}
	read := func(group int) bool {
		_, each := added()
		return slices.ContainsFunc(a.on, func(c stage.Column) bool { return a.o.Read(a.name(each[group], c)) })
	}
	return detect.Silent{Share: !read(3), Bands: !read(0) && !read(1) && !read(2)}
}

// row judges row i.
func (a *anomaly) row(i int, at int64, in *inputs, res *result) {
	slot := a.slots[i]
	mem := a.m.model(slot)
	res.age[i] = a.d.Age(mem)
	switch {
	case in.suppressed(i):
		a.o.Count("suppressed", 1)
		return
	case at < a.table.I64(colLast)[slot]:
		a.o.Count("out_of_order", 1)
		return
	case !in.values(i, a.x):
		a.o.Count("empty", 1)
		return
	}
	v := &a.verdict
	a.d.Step(mem, at, a.x, v)
	a.m.learnt(slot, at, a.x)
	res.age[i] = v.Age
	if a.seen != nil {
		a.seen(slot, at, a.x, v)
	}
	if v.Ready {
		res.score[i], res.grade[i] = v.Score, v.Grade
	}
	for s := range a.x {
		res.each[0][s][i], res.each[1][s][i], res.each[2][s][i] = v.Expected[s], v.Lower[s], v.Upper[s]
		if v.Ready {
			res.each[3][s][i] = v.Share[s]
		}
	}
}

// inputs are the columns of a batch.
type inputs struct {
	keys, on, with []arrow.Array
	suppress       *array.Boolean
}

func (a *anomaly) inputs(rows arrow.RecordBatch) *inputs {
	in := &inputs{}
	eval := func(cols []stage.Column) (out []arrow.Array) {
		for _, c := range cols {
			out = append(out, c.Prog.Eval(rows, a.o.Alloc))
		}
		return out
	}
	in.keys, in.on, in.with = eval(a.by), eval(a.on), eval(a.with)
	if a.suppress != nil {
		in.suppress = a.suppress.Eval(rows, a.o.Alloc).(*array.Boolean)
	}
	return in
}

func (in *inputs) release() {
	for _, c := range slices.Concat(in.keys, in.on, in.with) {
		c.Release()
	}
	if in.suppress != nil {
		in.suppress.Release()
	}
}

func (in *inputs) suppressed(i int) bool {
	return in.suppress != nil && in.suppress.IsValid(i) && in.suppress.Value(i)
}

// values gathers the signals of row i, NaN where there is none, and says whether there is any.
func (in *inputs) values(i int, x []float64) bool {
	some := false
	for s, c := range in.on {
		x[s] = math.NaN()
		if c.IsNull(i) {
			continue
		}
		switch c := c.(type) {
		case *array.Float64:
			x[s] = c.Value(i)
		case *array.Int64:
			x[s] = float64(c.Value(i))
		}
		some = some || !math.IsNaN(x[s])
	}
	return some
}

// result holds the columns that the stage adds; NaN is null.
type result struct {
	score, grade []float64
	each         [4][][]float64 // expected, lower, upper, attribution: a column a signal
	age          []int64
}

func newResult(signals, n int) *result {
	empty := func() []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = math.NaN()
		}
		return x
	}
	r := &result{score: empty(), grade: make([]float64, n), age: make([]int64, n)}
	for k := range r.each {
		for range signals {
			r.each[k] = append(r.each[k], empty())
		}
	}
	return r
}

// batch makes the rows that go out.
func (a *anomaly) batch(rows arrow.RecordBatch, in *inputs, res *result, n int) arrow.RecordBatch {
	cols := slices.Clone(rows.Columns()[:flow.MetaColumns])
	cols = append(cols, slices.Concat(in.keys, in.on, in.with)...)
	var own []arrow.Array
	add := func(x []float64) { own = append(own, numbers(x)) }
	add(res.score)
	add(res.grade)
	for _, group := range res.each {
		for _, x := range group {
			add(x)
		}
	}
	own = append(own, wrap(arrow.PrimitiveTypes.Int64, n, 0, nil, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(res.age))))
	defer func() {
		for _, c := range own {
			c.Release()
		}
	}()
	return array.NewRecordBatch(a.out, append(cols, own...), int64(n))
}

// numbers is a column of a slice that it takes over; what is NaN or infinite is null.
func numbers(x []float64) arrow.Array {
	valid := make([]byte, (len(x)+7)/8)
	nulls := 0
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			nulls++
			x[i] = 0
		} else {
			valid[i>>3] |= 1 << (i & 7)
		}
	}
	return wrap(arrow.PrimitiveTypes.Float64, len(x), nulls, valid, memory.NewBufferBytes(arrow.Float64Traits.CastToBytes(x)))
}

func wrap(t arrow.DataType, n, nulls int, valid []byte, values *memory.Buffer) arrow.Array {
	var bitmap *memory.Buffer
	if nulls > 0 {
		bitmap = memory.NewBufferBytes(valid)
	}
	data := array.NewData(t, n, []*memory.Buffer{bitmap, values}, nil, nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}
