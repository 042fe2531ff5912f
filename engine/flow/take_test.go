package flow

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const takeTable = `
_time    n:number i:integer b:bool s:string   l:list(string) t:timestamp
00:00:01 1.5      7         true   a          [x,y]          00:01:00
00:00:02 -        -         -      -          -              -
00:00:03 -2       9         false  "two words" []            00:02:00
00:00:04 4        10        true   ""         [z]            -
00:00:05 5        11        false  e          [p,q,r]        00:04:00
`

func TestTake(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	all, err := ParseRows(mem, takeTable)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Release()
	for _, rows := range []arrow.RecordBatch{all, all.NewSlice(1, 5), all.NewSlice(2, 4)} {
		n := int(rows.NumRows())
		for set := range 1 << n {
			sel := []int32{}
			var want []arrow.RecordBatch
			for i := range n {
				if set>>i&1 != 0 {
					sel = append(sel, int32(i))
					want = append(want, rows.NewSlice(int64(i), int64(i)+1))
				}
			}
			got := Take(rows, sel, mem)
			if len(want) > 0 {
				if a, b := FormatRows([]string{"_time", "_offset"}, got), FormatRows([]string{"_time", "_offset"}, want...); a != b {
					t.Fatalf("rows %v:\n%s\nwant\n%s", sel, a, b)
				}
			} else if got.NumRows() != 0 {
				t.Fatalf("no rows were wanted, got %d", got.NumRows())
			}
			got.Release()
			for _, w := range want {
				w.Release()
			}
		}
		if rows != all {
			rows.Release()
		}
	}
	// Values again and again, and none of a column at all.
	again := TakeArray(all.Column(MetaColumns+4), []int32{4, 4, 0, 1}, mem)
	if got := fmt.Sprint(again); got != `[["p" "q" "r"] ["p" "q" "r"] ["x" "y"] (null)]` {
		t.Fatalf("got %s", got)
	}
	again.Release()
	for i := range int(all.NumCols()) {
		TakeArray(all.Column(i), nil, mem).Release()
	}
}

// TestKeysTellValuesApart encodes pairs of nasty values: different pairs must
// have different keys, and each key must give its values back.
func TestKeysTellValuesApart(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	rows, err := ParseRows(mem, takeTable+`00:00:06 -0 0 true "\u0006\u0001a" [] 00:00:00
00:00:07 0 6 true "\u0006" [] 00:00:00.000006
`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	builder := func(typ arrow.DataType) array.Builder { return array.NewBuilder(mem, typ) }
	seen := map[string]string{}
	for _, a := range []int{0, 1, 2, 3, 5} {
		for _, b := range []int{0, 1, 2, 3, 5} {
			x, y := rows.Column(MetaColumns+a), rows.Column(MetaColumns+b)
			for i := range int(rows.NumRows()) {
				for j := range int(rows.NumRows()) {
					key := AppendKey(AppendKey(nil, x, i), y, j)
					if n := KeySize(x, i) + KeySize(y, j); n != len(key) {
						t.Fatalf("a key of %d bytes is said to have %d", len(key), n)
					}
					what := nameOf(x, i) + "|" + nameOf(y, j)
					if was, ok := seen[string(key)]; ok && was != what {
						t.Fatalf("%s and %s have one key", was, what)
					}
					seen[string(key)] = what
					cols, err := KeyColumns([][]byte{key}, []arrow.DataType{x.DataType(), y.DataType()}, builder)
					if err != nil {
						t.Fatal(err)
					}
					back := AppendKey(AppendKey(nil, cols[0], 0), cols[1], 0)
					if !bytes.Equal(back, key) {
						t.Fatalf("%s came back as another", what)
					}
					cols[0].Release()
					cols[1].Release()
				}
			}
		}
	}
}

// nameOf is the type of a value, except that nulls of all types are one, and so are -0 and 0.
func nameOf(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "null"
	}
	if a.ValueStr(i) == "-0" {
		return a.DataType().Name() + " 0"
	}
	return a.DataType().Name() + " " + a.ValueStr(i)
}

func FuzzKeyColumns(f *testing.F) {
	f.Add([]byte{6, 1, 'a', 3, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0, 0})
	types := []arrow.DataType{arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64}
	f.Fuzz(func(t *testing.T, key []byte) {
		cols, err := KeyColumns([][]byte{key}, types, func(typ arrow.DataType) array.Builder {
			return array.NewBuilder(memory.DefaultAllocator, typ)
		})
		if err == nil && len(cols) != 2 {
			t.Fatal("no columns and no error")
		}
	})
}

// TestTakeRuns: rows of which a few are missing are copied in runs, and are the same.
func TestTakeRuns(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	few, err := ParseRows(mem, takeTable)
	if err != nil {
		t.Fatal(err)
	}
	defer few.Release()
	const times = 40
	for c := range int(few.NumCols()) {
		parts := slices.Repeat([]arrow.Array{few.Column(c)}, times)
		whole, err := array.Concatenate(parts, mem)
		if err != nil {
			t.Fatal(err)
		}
		for start := range 9 {
			part := array.NewSlice(whole, int64(start), int64(whole.Len()-start))
			for gap := 20; gap < 60; gap += 5 {
				sel := []int32{}
				for i := range part.Len() {
					if i%gap != start%7 {
						sel = append(sel, int32(i))
					}
				}
				runs := runsOf(sel)
				if runs == nil {
					t.Fatalf("no runs of %d rows with a gap in %d", len(sel), gap)
				}
				got, want := takeArray(part, sel, runs, &packer{alloc: mem}), TakeArray(part, sel, mem)
				if !array.Equal(got, want) || got.NullN() != want.NullN() {
					t.Fatalf("column %d from %d, gap %d:\n%v\nwant\n%v", c, start, gap, got, want)
				}
				got.Release()
				want.Release()
			}
			part.Release()
		}
		whole.Release()
	}
	if runsOf([]int32{1, 3, 5, 7, 9}) != nil {
		t.Fatal("single rows are no runs")
	}
}
