package decode

import (
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/journal"
)

// TestLimits decodes records that are made to hurt, and checks what they cost.
func TestLimits(t *testing.T) {
	const mib = 1 << 20
	member := func(value string) string { return `{"a":` + value + `}` }
	for _, c := range []struct {
		name   string
		conf   Config
		record string
		reject string // what the first reject says; "" when there is none
		rows   int64
		memory uint64 // bytes that may be allocated, in times of the record's length
	}{
		{"100,000 lists", Config{Learn: true}, member(strings.Repeat("[", 100_000)), "nested deeper than 64", 0, 1},
		{"100,000 objects", Config{Learn: true}, strings.Repeat(`{"a":`, 100_000), "nested deeper than 64", 0, 1},
		{"100,000 closed lists", Config{Learn: true}, member(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), "nested deeper than 64", 0, 1},
		{"10,000 levels where that is allowed", Config{Learn: true, MaxDepth: 10_000}, strings.Repeat(`{"a":`, 9_999) + "{}" + strings.Repeat("}", 9_999), "", 1, 100},
		{"a text of 64 MiB", Config{Learn: true}, member(`"` + strings.Repeat("x", 64*mib) + `"`), "", 1, 2},
		{"an ignored text of 16 MiB", Config{}, member(`"` + strings.Repeat("x", 16*mib) + `"`), "", 1, 1},
		{"a text of 16 MiB that does not end", Config{Learn: true}, member(`"` + strings.Repeat("x", 16*mib)), "does not end", 0, 1},
		{"escapes of 6 MiB", Config{Learn: true}, member(`"` + strings.Repeat(`\u0041`, mib) + `"`), "", 1, 2},
		{"a number of 4 MiB", Config{Learn: true}, member(strings.Repeat("1", 4*mib)), "out of range", 1, 1},
		{"a fraction of 4 MiB", Config{Learn: true}, member("0." + strings.Repeat("1", 4*mib)), "", 1, 1},
		{"zeros and an exponent that makes up for them", Config{Learn: true}, member("0." + strings.Repeat("0", mib-1) + "1e1048576"), "", 1, 1},
		{"a name of 4 MiB", Config{Learn: true}, `{"` + strings.Repeat("n", 4*mib) + `":1}`, "", 1, 1},
		{"a list of 2 Mi numbers", Config{Learn: true}, member("[1" + strings.Repeat(",1", 2*mib-1) + "]"), "", 1, 12},
		{"a million unknown nulls", Config{Learn: true}, `{"a":null` + strings.Repeat(`,"a":null`, mib) + "}", "", 1, 1},
		{"one name a million times", Config{Learn: true}, `{"a":1` + strings.Repeat(`,"a":1`, mib) + "}", "a second time", 1, 1},
		{"a wrong type a million times", Config{Learn: true}, `{"a":{"b":1}` + strings.Repeat(`,"a":1`, mib) + "}", "an object", 1, 1},
		{"an exploded list of 1,000,000", Config{Learn: true, Explode: "a"}, member("[1" + strings.Repeat(",1", 999_999) + "]"), "more than 100000 elements", 0, 20},
		{"a text of 1 MiB for each of 1,000 rows", Config{Learn: true, Explode: "a"}, `{"t":"` + strings.Repeat("x", mib) + `","a":[1` + strings.Repeat(",1", 999) + "]}", "over 64 MiB", 0, 100},
		{"white space of 4 MiB", Config{Learn: true}, strings.Repeat(" ", 4*mib), "is empty", 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			block := blockOf(0, c.record)
			d, err := NewJSON(c.conf)
			if err != nil {
				t.Fatal(err)
			}
			finder := NewKeyFinder("key")
			var r Result
			used := allocated(func() {
				d.Decode(block, 0, &r)
				finder.Hash([]byte(c.record))
			})
			rows := int64(0)
			if r.Rows != nil {
				rows = r.Rows.NumRows()
				r.Rows.Release()
			}
			if rows != c.rows || (len(r.Rejects) > 0) != (c.reject != "") {
				t.Errorf("got %d rows and %d rejects", rows, len(r.Rejects))
			}
			for _, x := range r.Rejects[:min(1, len(r.Rejects))] {
				if !strings.Contains(x.Reason, c.reject) || len(x.Reason) > 300 || len(x.Payload) > maxRejectedText {
					t.Errorf("the reject says %.400q", x.Reason)
				}
			}
			if most := 200_000 + (c.memory+1)*uint64(len(c.record)); used > most {
				t.Errorf("%d bytes were allocated for a record of %d", used, len(c.record))
			}
		})
	}
}

// allocated returns how many bytes f allocates. []byte(record) in f counts too.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestFrom(t *testing.T) {
	d, err := NewJSON(Config{Learn: true})
	if err != nil {
		t.Fatal(err)
	}
	block := blockOf(100, `{"a":1}`, `{"a":2}`, `{"a":3}`)
	for _, c := range []struct {
		from uint64
		rows int64
	}{{0, 3}, {100, 3}, {101, 2}, {102, 1}, {103, 0}, {500, 0}} {
		var r Result
		d.Decode(block, c.from, &r)
		rows := int64(0)
		if r.Rows != nil {
			rows = r.Rows.NumRows()
			r.Rows.Release()
		}
		if rows != c.rows || r.Stats.Records != int(c.rows) {
			t.Errorf("from %d: got %d rows of %d records, want %d", c.from, rows, r.Stats.Records, c.rows)
		}
	}
}

func TestBadBlocks(t *testing.T) {
	for name, spoil := range map[string]func(*journal.Block){
		"no records":    func(b *journal.Block) { b.Kind = journal.Tick },
		"no times":      func(b *journal.Block) { b.Received = nil },
		"without slack": func(b *journal.Block) { b.Payload = b.Payload[:len(b.Payload):len(b.Payload)] },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.HasPrefix(r, "BUG: ") {
					t.Errorf("got the panic %v", r)
				}
			}()
			b := blockOf(0, `{"a":1}`)
			spoil(b)
			d, err := NewJSON(Config{Learn: true})
			if err != nil {
				t.Fatal(err)
			}
			var r Result
			d.Decode(b, 0, &r)
		})
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []struct {
		conf Config
		want string
	}{
		{Config{Fields: parseFields(t, "a:number a:string")}, `field "a": the name stands twice`},
		{Config{Fields: parseFields(t, "_time:timestamp")}, `field "_time": the name belongs to the engine`},
		{Config{Fields: parseFields(t, "t:timestamp:min")}, `field "t": the unit is "min"; it should be "s", "ms", "us", "ns" or nothing`},
		{Config{Fields: []Field{{Name: "x"}}}, `field "x": the type is missing`},
		{Config{Fields: []Field{{Name: "x", Type: arrow.PrimitiveTypes.Int32}}}, `field "x": a field cannot have the type int32; number, integer, bool, string, timestamp and lists of these are possible`},
		{Config{Fields: []Field{{}}}, `field "": the type is missing`},
		{Config{MaxDepth: 10_001}, `MaxDepth is 10001; it should be from 1 to 10000`},
		{Config{MaxRows: -1}, `MaxFields and MaxRows should not be negative`},
	} {
		if _, err := NewJSON(c.conf); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}
