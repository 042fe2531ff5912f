package flow

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestTakeOfAnySize: few rows, which are packed, and many, which are not, are the same as columns that are taken one by one;
// each column lives as long as somebody holds it.
func TestTakeOfAnySize(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	long := strings.Repeat("l", 3000) // more than what is cut off for text
	few, err := ParseRows(mem, takeTable+"00:00:06 6 6 true "+long+" [a,"+long+"] 00:00:00\n")
	if err != nil {
		t.Fatal(err)
	}
	defer few.Release()
	const times = 400
	cols := make([]arrow.Array, few.NumCols())
	for c := range cols {
		if cols[c], err = array.Concatenate(slices.Repeat([]arrow.Array{few.Column(c)}, times), mem); err != nil {
			t.Fatal(err)
		}
		defer cols[c].Release()
	}
	rows := array.NewRecordBatch(few.Schema(), cols, few.NumRows()*times)
	defer rows.Release()
	packed := map[bool]int{}
	for _, step := range []int{2, 3, 7, 11, 80, 150, 500} {
		sel := []int32{}
		for i := step - 1; i < int(rows.NumRows()); i += step {
			sel = append(sel, int32(i))
		}
		packed[newPacker(len(cols), len(sel), mem).packs]++
		at := []int{0, 3, MetaColumns + 3, MetaColumns, MetaColumns + 1, MetaColumns + 2, MetaColumns + 4, MetaColumns + 5}
		var fields []arrow.Field
		for _, c := range at {
			fields = append(fields, rows.Schema().Field(c))
		}
		got := TakeColumns(rows, at, arrow.NewSchema(fields, nil), sel, mem)
		kept := got.Column(2)
		kept.Retain()
		for i, c := range at {
			want := TakeArray(cols[c], sel, mem)
			if a := got.Column(i); !array.Equal(a, want) || a.NullN() != want.NullN() {
				t.Fatalf("every %d. row, column %d:\n%v\nwant\n%v", step, c, a, want)
			}
			want.Release()
		}
		got.Release()
		want := TakeArray(cols[at[2]], sel, mem)
		if !array.Equal(kept, want) {
			t.Fatalf("every %d. row: a column that was kept has changed when its batch was released", step)
		}
		want.Release()
		kept.Release()
	}
	if packed[true] < 2 || packed[false] < 2 {
		t.Fatalf("batches that are packed and that are not: %v", packed)
	}
	all := make([]int32, rows.NumRows())
	for i := range all {
		all[i] = int32(i)
	}
	same := TakeColumns(rows, []int{3}, arrow.NewSchema([]arrow.Field{rows.Schema().Field(3)}, nil), all, mem)
	if same.Column(0) != cols[3] {
		t.Fatal("all rows were copied and not shared")
	}
	same.Release()
}

// TestShellsRunOut: more columns than a Shells was made for.
func TestShellsRunOut(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	shells := NewShells(1)
	var cols []arrow.Array
	for i := range 5 {
		b := memory.NewResizableBuffer(mem)
		b.Resize(8)
		arrow.Int64Traits.CastFromBytes(b.Bytes())[0] = int64(i)
		cols = append(cols, shells.Column(arrow.PrimitiveTypes.Int64, 1, 0, nil, nil, b))
	}
	for i, c := range cols {
		if v := c.(*array.Int64).Value(0); v != int64(i) {
			t.Fatalf("column %d holds %d", i, v)
		}
		c.Release()
	}
}
