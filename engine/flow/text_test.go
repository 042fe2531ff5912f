package flow

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

const everyType = `_offset _index _received            _time    _slot _mark    n:number i:integer            b:bool s:string         t:timestamp            l:list(number) "odd name":string data.x:number
7       0      2026-11-22T10:15:30Z 00:00:30 3     -        -17.5    -9223372036854775808 true   plain            2026-11-22T10:15:30.5Z [1,-,2.5]      "-"               1e+300
8       1      2026-11-22T10:15:31Z 00:01:00 3     00:00:30 -        -                    -      -                -                      -              -                 -
9       0      2026-11-22T10:15:32Z 00:01:30 4     end      0        5                    false  "a \"b\" [c], é" 00:00:00               []             ""                -0
`

func TestTextThereAndBack(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	rows, err := ParseRows(alloc, "# a comment\n\n"+everyType)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	got := FormatRows([]string{"_offset", "_index", "_received", "_time", "_slot", "_mark"}, rows)
	if got != everyType {
		t.Errorf("got\n%s\nwant\n%s", got, everyType)
	}
	half := rows.NewSlice(1, 3)
	defer half.Release()
	if got := FormatRows([]string{"_offset"}, half); !strings.Contains(got, "\n8 ") || strings.Contains(got, "\n7 ") {
		t.Errorf("a slice is written as\n%s", got)
	}
}

func TestTextMetadataIsFilledIn(t *testing.T) {
	rows, err := ParseRows(memory.DefaultAllocator, "_time v:number\n00:01 1\n00:02 2\n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	want := "_offset _index _received _time    _slot _mark v:number\n" +
		"0       0      00:01:00  00:01:00 0     -     1\n" +
		"1       0      00:02:00  00:02:00 0     -     2\n"
	if got := FormatRows([]string{"_offset", "_index", "_received", "_time", "_slot", "_mark"}, rows); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTextMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "no header"},
		{"v:number\n1 2", "line 2: found 2 cells, the header has 1 columns"},
		{"v", "column v has no type"},
		{"v:float", `unknown type "float"`},
		{"v:list(list(number))", "unknown type"},
		{"v:number v:bool", "twice"},
		{"v:number\nx", `line 2: column v: "x" is not a number`},
		{"v:integer\n1.5", "not an integer"},
		{"v:bool\n1", "not true or false"},
		{"v:timestamp\nnoon", "not a time"},
		{"v:list(number)\n1", "not a list"},
		{"v:string\n\"a", "not closed"},
		{"v:string\n\"a\\q\"", "not a JSON string"},
		{"_offset v:string\n- a", "no nulls"},
		{"_slot v:string\n-1 a", "not an integer that fits"},
	} {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		rows, err := ParseRows(alloc, c.text)
		if err == nil {
			rows.Release()
			t.Errorf("%q was taken", c.text)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q does not say %q", c.text, err, c.want)
		}
		alloc.AssertSize(t, 0)
	}
}
