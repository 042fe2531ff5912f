package sinkparquet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/stage"
)

// part is one of the expressions by which rows are spread over folders.
type part struct {
	name   string
	typ    string // of its values, as the list of files names it
	prog   *expr.Program
	period string // year, month, day or hour, of a time
}

const (
	maxParts = 8
	// maxValue is how long a value may be in the name of a folder; what is longer is cut and gets a checksum.
	maxValue  = 120
	nullValue = "__HIVE_DEFAULT_PARTITION__" // as Hive, Spark and DuckDB have it
)

// periods are the functions that name a whole period here, and their layouts.
func periods() map[string]string {
	return map[string]string{"year": "2006", "month": "2006-01", "day": "2006-01-02", "hour": "2006-01-02-15"}
}

// bindParts compiles partition_by.
func bindParts(x hcl.Expression, in *arrow.Schema, scope *expr.Scope) ([]part, hcl.Diagnostics) {
	if config.Absent(x) {
		return nil, nil
	}
	var parts []part
	var diags hcl.Diagnostics
	take := func(name string, at hcl.Range, value hcl.Expression) {
		p, more := bindPart(name, at, value, in, scope)
		diags = append(diags, more...)
		if slices.ContainsFunc(parts, func(q part) bool { return q.name == p.name }) {
			diags = append(diags, config.Errorf(at, "Duplicate name", "There is a partition column %s already.", p.name)...)
		}
		parts = append(parts, p)
	}
	switch list := x.(type) {
	case *hclsyntax.TupleConsExpr:
		for _, item := range list.Exprs {
			name, ok := stage.ColumnName(item)
			if call, is := item.(*hclsyntax.FunctionCallExpr); is && periods()[call.Name] != "" {
				name, ok = call.Name, true
			}
			if !ok {
				diags = append(diags, config.Errorf(item.Range(), "No name", "A column names itself, and so does year, month, day or hour of a time. Give others a name: partition_by = { area = substr(site, 0, 2) }.")...)
				continue
			}
			take(name, item.Range(), item)
		}
	case *hclsyntax.ObjectConsExpr:
		members, more := config.ObjectMembers(list)
		diags = append(diags, more...)
		for _, m := range members {
			take(m.Name, m.At, m.Value)
		}
	default:
		return nil, config.Errorf(x.Range(), "Not a list", "partition_by takes a list, such as [site, day(ts)].")
	}
	if len(parts) > maxParts {
		diags = append(diags, config.Errorf(x.Range(), "Too many partition columns", "There may be %d; these are %d. Each one multiplies the number of files.", maxParts, len(parts))...)
	}
	return parts, diags
}

func bindPart(name string, at hcl.Range, x hcl.Expression, in *arrow.Schema, scope *expr.Scope) (part, hcl.Diagnostics) {
	p := part{name: name}
	if call, ok := x.(*hclsyntax.FunctionCallExpr); ok && periods()[call.Name] != "" {
		if len(call.Args) != 1 {
			return p, config.Errorf(x.Range(), "One argument", "In partition_by %s takes one time, such as %s(ts); periods are those of UTC.", call.Name, call.Name)
		}
		p.period, p.typ = call.Name, "string"
		switch call.Name {
		case "day":
			p.typ = "date"
		case "year":
			p.typ = "integer"
		}
		var diags hcl.Diagnostics
		p.prog, diags = expr.CompileAs(call.Args[0], scope, arrow.FixedWidthTypes.Timestamp_us, call.Name)
		if stage.Has(in, name) {
			diags = append(diags, config.Errorf(at, "Name is taken", "The rows have a column %s, and its folder would hide it. Write partition_by = { in_%s = %s(...) }.", name, p.period, p.period)...)
		}
		return p, diags
	}
	prog, diags := expr.Compile(x, scope)
	if prog == nil {
		return p, diags
	}
	p.prog, p.typ = prog, expr.TypeName(prog.Type())
	if column, is := stage.ColumnName(x); stage.Has(in, name) && !(is && column == name) {
		diags = append(diags, config.Errorf(at, "Name is taken", "The rows have a column %s, and its folder would hide it. Choose another name.", name)...)
	}
	switch prog.Type().ID() {
	case arrow.STRING, arrow.INT64, arrow.BOOL:
	case arrow.TIMESTAMP:
		diags = append(diags, config.Errorf(at, "Partition by a moment", "Nearly every row has a time of its own, and so would every folder. Write day(%s), or hour, month or year.", name)...)
	default:
		diags = append(diags, config.Errorf(at, "Not a partition", "A partition is a string, an integer or a bool; this is a %s.", p.typ)...)
	}
	return p, append(diags, stage.CheckName(name, at)...)
}

// divider finds the partition of each row. It numbers partitions as they come.
type divider struct {
	texts  []map[string]uint32 // by part: number of a value; 0 is null
	longs  []map[int64]uint32
	names  [][]string // by part and number: the value as a folder has it
	pairs  []map[uint64]uint32
	values []uint32 // by part, of the row before
	codes  []uint32
	dirs   []dir // by partition
}

// dir is a partition's folder.
type dir struct {
	name   string
	values map[string]string
}

func newDivider(parts []part) *divider {
	d := &divider{codes: nil}
	for range parts {
		d.texts, d.longs = append(d.texts, map[string]uint32{}), append(d.longs, map[int64]uint32{})
		d.names, d.pairs = append(d.names, []string{nullValue}), append(d.pairs, map[uint64]uint32{})
	}
	if len(parts) == 0 {
		d.dirs = []dir{{}}
	}
	return d
}

// divide returns the number of each row's partition, valid until the next call.
func (d *divider) divide(parts []part, rows arrow.RecordBatch, alloc memory.Allocator) []uint32 {
	n := int(rows.NumRows())
	if cap(d.codes) < n {
		d.codes = make([]uint32, n)
	}
	d.codes = d.codes[:n]
	clear(d.codes)
	for i := range parts {
		d.add(i, &parts[i], rows, alloc, i == len(parts)-1, parts)
	}
	return d.codes
}

// add combines the numbers of the parts before with those of one more.
func (d *divider) add(i int, p *part, rows arrow.RecordBatch, alloc memory.Allocator, last bool, parts []part) {
	col := p.prog.Eval(rows, alloc)
	defer col.Release()
	of := d.numbers(i, p, col)
	var before, code uint32
	var pair uint64
	for r := range d.codes {
		v := of(r)
		if r > 0 && before == d.codes[r] && uint32(pair) == v {
			d.codes[r] = code
			continue
		}
		before = d.codes[r]
		pair = uint64(before)<<32 | uint64(v)
		known := false
		if code, known = d.pairs[i][pair]; !known {
			code = uint32(len(d.pairs[i]))
			if last {
				code = uint32(len(d.dirs))
			}
			d.pairs[i][pair] = code
			if last {
				d.dirs = append(d.dirs, d.dirOf(parts, i, pair))
			}
		}
		d.codes[r] = code
	}
}

// dirOf names the folder of a pair of the last part, back through those before.
func (d *divider) dirOf(parts []part, i int, pair uint64) dir {
	numbers := make([]uint32, i+1)
	for k := i; k >= 0; k-- {
		numbers[k] = uint32(pair)
		before := uint32(pair >> 32)
		if k > 0 {
			for q, code := range d.pairs[k-1] {
				if code == before {
					pair = q
				}
			}
		}
	}
	out := dir{values: map[string]string{}}
	var names []string
	for k, v := range numbers {
		value := d.names[k][v]
		names = append(names, escape(parts[k].name)+"="+folder(value, v == 0))
		if v != 0 {
			out.values[parts[k].name] = value
		}
	}
	out.name = strings.Join(names, "/")
	return out
}

// numbers returns a function that gives the number of a row's value.
func (d *divider) numbers(i int, p *part, col arrow.Array) func(r int) uint32 {
	switch col := col.(type) {
	case *array.String:
		last, lastNumber := "", uint32(0)
		return func(r int) uint32 {
			if col.IsNull(r) {
				return 0
			}
			v := col.Value(r)
			if v == last && lastNumber != 0 {
				return lastNumber
			}
			n, known := d.texts[i][v]
			if !known {
				v = strings.Clone(v)
				n = d.name(i, v)
				d.texts[i][v] = n
			}
			last, lastNumber = v, n
			return n
		}
	case *array.Timestamp:
		step := map[string]int64{"day": 24 * 3600e6, "hour": 3600e6, "month": 24 * 3600e6, "year": 24 * 3600e6}[p.period]
		layout := periods()[p.period]
		vals := col.TimestampValues()
		return func(r int) uint32 {
			if col.IsNull(r) {
				return 0
			}
			at := int64(vals[r])
			k := at / step
			if at%step < 0 {
				k--
			}
			n, known := d.longs[i][k]
			if !known {
				n = d.period(i, time.UnixMicro(k*step).UTC().Format(layout))
				d.longs[i][k] = n
			}
			return n
		}
	case *array.Int64:
		return func(r int) uint32 {
			if col.IsNull(r) {
				return 0
			}
			n, known := d.longs[i][col.Value(r)]
			if !known {
				n = d.name(i, strconv.FormatInt(col.Value(r), 10))
				d.longs[i][col.Value(r)] = n
			}
			return n
		}
	case *array.Boolean:
		yes, no := d.period(i, "true"), d.period(i, "false")
		return func(r int) uint32 {
			switch {
			case col.IsNull(r):
				return 0
			case col.Value(r):
				return yes
			}
			return no
		}
	}
	return func(int) uint32 { return 0 } // a column that this batch does not have
}

// name gives a value the next number.
func (d *divider) name(i int, value string) uint32 {
	d.names[i] = append(d.names[i], value)
	return uint32(len(d.names[i]) - 1)
}

// period gives a value its number, a new one if it has none.
func (d *divider) period(i int, value string) uint32 {
	n, known := d.texts[i][value]
	if !known {
		n = d.name(i, value)
		d.texts[i][value] = n
	}
	return n
}

// folder is a value as the name of a folder has it.
func folder(value string, null bool) string {
	if null {
		return nullValue
	}
	out := escape(value)
	if len(out) > maxValue {
		out = strings.TrimRight(out[:maxValue], "%0123456789ABCDEF") + "~" + objects.Checksum([]byte(value))
	}
	return out
}

// escape keeps what every file system and every URL can have in a name.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
