package tidemill

import (
	"math"
	"unsafe"
)

// Spec is what plugin.hcl says of the columns: a letter each.
// g number, l integer or timestamp, b bool, u string, w bytes in state.
type Spec struct {
	Kind          byte
	Writes, State string
	StateMax      []uint32
}

// Levels of Log.
const (
	Debug = iota
	Info
	Warning
	Error
)

// EachRow makes the plugin of a function that is called for each row. Call it in an init function.
func EachRow(spec Spec, row func(*Row)) { theRow.use(spec, row, nil) }

// EachBatch makes the plugin of a function that is called for each batch of an enrich or score.
func EachBatch(spec Spec, batch func(*Row)) { theRow.use(spec, nil, batch) }

// Log writes a line for the operator.
func Log(level int, text string) {
	hostLog(int32(level), unsafe.Pointer(unsafe.StringData(text)), int32(len(text)))
}

// ConfigNumber is an argument of the plugin block; otherwise when it was not given.
func ConfigNumber(name string, otherwise float64) float64 {
	v := hostConfigNumber(unsafe.Pointer(unsafe.StringData(name)), int32(len(name)))
	if math.IsNaN(v) {
		return otherwise
	}
	return v
}

// ConfigText is an argument's text; all but strings as JSON. ok is false when it was not given.
func ConfigText(name string) (text string, ok bool) {
	n := hostConfigText(unsafe.Pointer(unsafe.StringData(name)), int32(len(name)), nil, 0)
	if n < 0 {
		return "", false
	}
	b := make([]byte, n+1)
	hostConfigText(unsafe.Pointer(unsafe.StringData(name)), int32(len(name)), unsafe.Pointer(&b[0]), n)
	return string(b[:n]), true
}

// Fail gives the row up, and the instance: for what must not happen. For a row that makes no sense, Row.Reject.
func Fail(text string) {
	hostFail(unsafe.Pointer(unsafe.StringData(text)), int32(len(text)))
	panic(text)
}

// Row is the row under way, and with EachBatch the whole batch.
type Row struct {
	spec  Spec
	each  func(*Row)
	whole func(*Row)
	// migrate is called for each key of an older version's state; nil: there are none.
	migrate func(*Row)
	one     [1]uint32 // the key that migrate is given
	many    bool

	region   []byte // where the host writes batches
	batch    *batch
	in       []input
	keys     []uint32
	states   []uint32 // where each column of state stands
	lengths  []uint32 // and the lengths of bytes
	row      int
	rows     int
	n        int // output rows, the one under way among them
	first    int // the first of the input row under way
	room     int
	refused  bool
	rejected bool // any row of the batch

	out        []column
	from       []uint32
	reasons    column
	rowArray   array
	rowBuffers [2]uint32
	none       [1]uint32
	children   []uint32
	top        array
	answer     answer
}

// theRow is the module's only one: a module has one thread and is called for one batch at a time.
var theRow Row

func (r *Row) use(spec Spec, each, whole func(*Row)) {
	*r = Row{spec: spec, each: each, whole: whole, many: spec.Kind == 't' || spec.Kind == 'd', reasons: column{format: 'u'}}
	for i := range len(spec.Writes) {
		r.out = append(r.out, column{format: spec.Writes[i]})
	}
}

func (r *Row) alloc(size int) uint32 {
	if size+16 > len(r.region) {
		r.region = nil
		r.region = make([]byte, size+size/2+16)
	}
	return (place(&r.region[0]) + 15) &^ 15
}

// ---- whole columns

// Rows is the number of input rows in the batch.
func (r *Row) Rows() int { return r.rows }

// Numbers are the values of a column; 0 under a null. They are the host's until the batch ends.
func (r *Row) Numbers(column int) []float64 { return r.in[column].numbers }

// Integers are the values of a column of integers or timestamps; 0 under a null.
func (r *Row) Integers(column int) []int64 { return slice[int64](r.in[column].data, r.rows) }

// Valid is the validity of a column: bit i & 7 of byte i >> 3. nil: no value is null.
func (r *Row) Valid(column int) []byte { return r.in[column].valid }

// OutNumbers is a column of an enrich or score, to be written whole by EachBatch's function; all of it
// counts as not null.
func (r *Row) OutNumbers(column int) []float64 {
	c := &r.out[column]
	for i := range c.valid {
		c.valid[i] = 255
	}
	return slice[float64](place(unsafe.SliceData(c.values)), r.rows)
}

// ---- values of the row

// IsNull says whether the row has no value there.
func (r *Row) IsNull(column int) bool {
	v := r.in[column].valid
	return v != nil && v[r.row>>3]>>(r.row&7)&1 == 0
}

// Number is the row's value; 0 under a null.
func (r *Row) Number(column int) float64 { return r.in[column].numbers[r.row] }

// Integer is the row's value of a column of integers, or of timestamps in microseconds since 1970.
func (r *Row) Integer(column int) int64 { return *at[int64](r.in[column].data + uint32(r.row)*8) }

// Bool is the row's value; false under a null.
func (r *Row) Bool(column int) bool {
	return *at[byte](r.in[column].data + uint32(r.row>>3))>>(r.row&7)&1 != 0
}

// Bytes are the host's until the batch ends.
func (r *Row) Bytes(column int) []byte {
	c := &r.in[column]
	ends := slice[uint32](c.data+uint32(r.row)*4, 2)
	return slice[byte](c.text+ends[0], int(ends[1]-ends[0]))
}

// String is the row's text; it points to the host's bytes and is good until the batch ends. strings.Clone keeps it.
func (r *Row) String(column int) string {
	b := r.Bytes(column)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// ---- state of the row's key: written in place, all zero at first

// StateNumber is where the key's number stands.
func (r *Row) StateNumber(column int) *float64 {
	return at[float64](r.states[column] + r.keys[r.row]*8)
}

// StateInteger is where the key's integer stands.
func (r *Row) StateInteger(column int) *int64 { return at[int64](r.states[column] + r.keys[r.row]*8) }

// StateBytes is what is kept for the key; it points to the host's bytes.
func (r *Row) StateBytes(column int) []byte {
	n := *at[uint32](r.lengths[column] + r.keys[r.row]*4)
	return slice[byte](r.states[column]+r.keys[r.row]*r.spec.StateMax[column], int(n))
}

// SetStateBytes keeps bytes for the key; false when they are longer than the manifest allows.
func (r *Row) SetStateBytes(column int, value []byte) bool {
	most := r.spec.StateMax[column]
	if len(value) > int(most) {
		return false
	}
	copy(slice[byte](r.states[column]+r.keys[r.row]*most, int(most)), value)
	*at[uint32](r.lengths[column] + r.keys[r.row]*4) = uint32(len(value))
	return true
}

// ---- what the row becomes

// Emit begins an output row of a transform or decoder; what is set next is set in it.
func (r *Row) Emit() {
	if r.many && !r.refused {
		r.beginRow()
	}
}

// set finds the place of a value, which counts as not null from now on.
func (r *Row) set(column int) (row int, ok bool) {
	if r.refused || r.n == r.first {
		return 0, false
	}
	row = r.n - 1
	r.out[column].valid[row>>3] |= 1 << (row & 7)
	return row, true
}

// SetNumber sets a value of the output row under way; likewise the others.
func (r *Row) SetNumber(column int, v float64) {
	if row, ok := r.set(column); ok {
		r.out[column].values[row] = math.Float64bits(v)
	}
}

// SetInteger sets an integer, or a timestamp in microseconds since 1970.
func (r *Row) SetInteger(column int, v int64) {
	if row, ok := r.set(column); ok {
		r.out[column].values[row] = uint64(v)
	}
}

// SetBool sets true or false.
func (r *Row) SetBool(column int, v bool) {
	if row, ok := r.set(column); ok {
		r.out[column].bits[row>>3] &^= 1 << (row & 7)
		if v {
			r.out[column].bits[row>>3] |= 1 << (row & 7)
		}
	}
}

// SetString sets a text, which must be UTF-8.
func (r *Row) SetString(column int, v string) {
	if row, ok := r.set(column); ok {
		c := &r.out[column]
		c.text = append(c.text[:c.ends[row]], v...)
	}
}

// Reject refuses the row, with a reason for a person. What was set of it is taken back.
func (r *Row) Reject(reason string) {
	if r.refused {
		return
	}
	r.undo()
	r.refused = true
	if !r.rejected {
		r.rejected = true
		r.reasons.begin(r.rows)
	}
	r.reasons.valid[r.row>>3] |= 1 << (r.row & 7)
	r.reasons.text = append(r.reasons.text, reason...)
}

func (r *Row) undo() {
	for i := range r.out {
		c := &r.out[i]
		if c.format == 'u' && r.n > r.first {
			c.text = c.text[:c.ends[r.first]]
		}
		for row := r.first; row < r.n; row++ {
			c.valid[row>>3] &^= 1 << (row & 7)
			switch c.format {
			case 'b':
				c.bits[row>>3] &^= 1 << (row & 7)
			case 'u':
			default:
				c.values[row] = 0
			}
			if !r.many { // a filler, so that columns without nulls stay so
				c.valid[row>>3] |= 1 << (row & 7)
			}
		}
	}
	if r.many {
		r.n = r.first
	}
}

// ---- running

func (r *Row) endRow() {
	if r.n == 0 {
		return
	}
	for i := range r.out {
		if c := &r.out[i]; c.format == 'u' {
			c.ends[r.n] = uint32(len(c.text))
		}
	}
}

func (r *Row) beginRow() {
	r.endRow()
	if r.many {
		if r.n+1 > r.room {
			r.room = max(2*r.room, r.n+1)
			for i := range r.out {
				r.out[i].reserve(r.room)
			}
		}
		r.from = append(r.from[:r.n], uint32(r.row))
	}
	r.n++
}

func (r *Row) begin(place uint32) {
	r.batch = at[batch](place)
	rows := at[array](r.batch.rows)
	r.rows, r.n, r.first, r.room = int(rows.length), 0, 0, int(rows.length)
	r.refused, r.rejected = false, false
	r.in, r.from = r.in[:0], r.from[:0]
	for i := range int(rows.nChildren) {
		c := childAt(r.batch.rows, i)
		b := slice[uint32](c.buffers, int(c.nBuffers))
		in := input{valid: slice[byte](b[0], (r.rows+7)/8), data: b[1], numbers: slice[float64](b[1], r.rows)}
		if len(b) > 2 {
			in.text = b[2]
		}
		r.in = append(r.in, in)
	}
	for i := range r.out {
		r.out[i].begin(r.rows)
	}
	if r.spec.State == "" {
		return
	}
	r.keys = slice[uint32](r.batch.keys, r.rows)
	r.findState()
}

// findState finds where each column of state stands.
func (r *Row) findState() {
	r.states, r.lengths = r.states[:0], r.lengths[:0]
	next := 0
	data := func() uint32 {
		c := childAt(r.batch.state, next)
		next++
		return slice[uint32](c.buffers, 2)[1]
	}
	for i := range len(r.spec.State) {
		r.states, r.lengths = append(r.states, data()), append(r.lengths, 0)
		if r.spec.State[i] == 'w' { // bytes take two columns
			r.lengths[i] = data()
		}
	}
}

func (r *Row) run(place uint32) uint32 {
	r.begin(place)
	if r.whole != nil {
		r.n = r.rows
		r.whole(r)
		return r.end()
	}
	for r.row = 0; r.row < r.rows; r.row++ {
		r.refused, r.first = false, r.n
		if !r.many {
			r.beginRow()
		}
		r.each(r)
		r.endRow()
		if r.rejected {
			r.reasons.ends[r.row+1] = uint32(len(r.reasons.text))
		}
	}
	return r.end()
}

func (r *Row) end() uint32 {
	r.children = r.children[:0]
	if r.many {
		r.rowBuffers[1] = place(unsafe.SliceData(r.from))
		r.rowArray = array{length: int64(r.n), nBuffers: 2, buffers: place(&r.rowBuffers)}
		r.children = append(r.children, place(&r.rowArray))
	}
	for i := range r.out {
		r.children = append(r.children, r.out[i].seal(r.n))
	}
	r.top = array{length: int64(r.n), nBuffers: 1, buffers: place(&r.none), nChildren: int64(len(r.children)), children: place(unsafe.SliceData(r.children))}
	r.answer = answer{rows: place(&r.top)}
	if r.rejected {
		r.answer.rejects = r.reasons.seal(r.rows)
	}
	return place(&r.answer)
}
