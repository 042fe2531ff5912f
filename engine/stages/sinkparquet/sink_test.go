package sinkparquet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
	"github.com/tidemill/tidemill/engine/stage"
)

func bind(t testing.TB, text string, in ...*arrow.Schema) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{Address: "pipeline.p.sink.lake", Channel: &config.Channel{Name: "c"}}
	for range in {
		at.Inputs, at.Keys = append(at.Inputs, "rule.r"), append(at.Keys, "device")
	}
	at.Scope = func(i int) *expr.Scope { return &expr.Scope{Schema: in[i], What: "rule.r"} }
	return a.Bind(in, at)
}

// bench is a sink over a folder, which can be opened again as after a crash.
type bench struct {
	*sink
	t      testing.TB
	alloc  *memory.CheckedAllocator
	dir    string
	bound  string
	in     *arrow.Schema
	counts map[string]int64
	at     uint64
	spool  []entry
	env    *env.Env
}

// entry is a record of the spool.
type entry struct {
	rows  arrow.RecordBatch
	tick  int64
	ended bool
}

func newBench(t testing.TB, args string, in *arrow.Schema) *bench {
	t.Helper()
	b := &bench{t: t, alloc: memory.NewCheckedAllocator(memory.DefaultAllocator), dir: "/bench", bound: args, in: in, env: env.NewSim(1).Env()}
	b.open()
	t.Cleanup(func() {
		b.sink.Close()
		b.alloc.AssertSize(t, 0)
	})
	return b
}

// open opens the sink over what is there.
func (b *bench) open() {
	b.t.Helper()
	bound, diags := bind(b.t, fmt.Sprintf("path = %q\n%s\n", filepath.Join(b.dir, "lake"), b.bound), b.in)
	if diags.HasErrors() {
		b.t.Fatal(diags)
	}
	b.counts = map[string]int64{}
	s, err := bound.OpenSink(stage.Opening{Env: b.env, DataDir: filepath.Join(b.dir, "data"), Alloc: b.alloc, Address: "pipeline.p.sink.lake",
		Count: func(name string, n int64) { b.counts[name] += n }, Report: func(line string) { b.t.Error(line) },
		Origin: func(from, to int64) stage.Origin {
			return stage.Origin{Plan: "plan1", Plugins: []string{fmt.Sprintf("received %d to %d", from, to)}}
		}})
	if err == nil {
		err = s.Recover(context.Background(), nil)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.sink = s.(*sink)
}

// feed gives the sink the records of the spool from a place on.
func (b *bench) feed(from uint64) {
	b.t.Helper()
	for i := from; i < uint64(len(b.spool)); i++ {
		b.sink.Place(i)
		e := b.spool[i]
		var err error
		if e.rows != nil {
			b.sink.From(int(i) % 3)
			err = b.sink.Write(context.Background(), 0, e.rows)
		} else {
			err = b.sink.Tick(context.Background(), e.tick, e.ended)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) rows(text string) {
	b.t.Helper()
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		b.t.Fatal(err)
	}
	b.spool = append(b.spool, entry{rows: rows})
}

// lines reads the table as its list has it, a row a line, and the files' names.
func (b *bench) lines(columns ...string) (rows, names []string) {
	b.t.Helper()
	store, err := objects.Open(b.env, objects.Config{Place: filepath.Join(b.dir, "lake")})
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := ledger.Read(context.Background(), store, "lake")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range m.Files {
		names = append(names, f.Name)
		data, _, err := store.Get(context.Background(), f.Name)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := f.Check(data); err != nil {
			b.t.Fatal(err)
		}
		batches, err := parquet.Read(data, memory.DefaultAllocator)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, r := range batches {
			for i := range int(r.NumRows()) {
				var cells []string
				for _, c := range columns {
					if at := r.Schema().FieldIndices(c); len(at) == 1 {
						cells = append(cells, r.Column(at[0]).ValueStr(i))
					} else {
						cells = append(cells, "?")
					}
				}
				rows = append(rows, strings.Join(cells, " "))
			}
		}
	}
	return rows, names
}

const header = "_time\t_slot\tdevice:string\tsite:string\tts:timestamp\ttemp:number\n"

var sample = func() *arrow.Schema {
	rows, err := flow.ParseRows(memory.DefaultAllocator, header)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return rows.Schema()
}

// TestPartitions: where rows go, how they are ordered, what the files tell of themselves.
func TestPartitions(t *testing.T) {
	b := newBench(t, `partition_by = [site, day(ts)]`+"\n"+`units = { temp = "celsius" }`, sample())
	b.rows(header + "2026-01-01T23:59:59Z 1 b oslo 2026-01-01T23:59:59Z 1.5\n2026-01-02T00:00:01Z 0 a oslo 2026-01-02T00:00:01Z 2\n2026-01-01T01:00:00Z 0 a oslo 2026-01-01T01:00:00Z 3\n")
	b.rows(header + "2026-01-01T01:00:00Z 5 c \"São Paulo/1\" 2026-01-01T01:00:00Z -1\n2026-01-01T01:00:02Z 0 a oslo 2026-01-01T01:00:02Z 4\n2026-01-01T01:00:02Z 0 a - - 5\n")
	b.spool = append(b.spool, entry{tick: 1e6, ended: true})
	b.feed(0)
	rows, names := b.lines("device", "site", "temp", "_partition", "_offset")
	want := []string{
		"site=oslo/day=2026-01-01/lake-1.0-00000000000000000000.parquet",
		"site=oslo/day=2026-01-02/lake-1.0-00000000000000000000.parquet",
		"site=S%C3%A3o%20Paulo%2F1/day=2026-01-01/lake-1.0-00000000000000000001.parquet",
		"site=__HIVE_DEFAULT_PARTITION__/day=__HIVE_DEFAULT_PARTITION__/lake-1.0-00000000000000000001.parquet",
	}
	if !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
	if want := []string{"a oslo 3 0 2", "a oslo 4 1 1", "b oslo 1.5 0 0", "a oslo 2 0 1", "c São Paulo/1 -1 1 0", "a (null) 5 1 2"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q", rows)
	}
	var first []byte
	b.walk(func(name string, data []byte) {
		if name == names[0] {
			first = data
		}
	})
	kv, err := parquet.Metadata(first)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]any{}
	for _, e := range kv {
		if e.Key == ledger.LineageKey {
			if err := json.Unmarshal([]byte(e.Value), &said); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := fmt.Sprint(said["channel"], said["offsets"], said["places"], said["units"], said["rows"], said["plans"], said["plugins"]); got != "c[map[from:0 partition:0 to:2] map[from:1 partition:1 to:1]] [0 2] map[temp:celsius] 3 [plan1] [received 1767229200000000 to 1767311999000000]" {
		t.Errorf("lineage %s", got)
	}
}

// TestRolling: when files are written, and what is needed again of the spool.
func TestRolling(t *testing.T) {
	one := header + "2026-01-01T00:00:00Z 0 a oslo 2026-01-01T00:00:00Z 1\n"
	for _, c := range []struct {
		name, args string
		spool      string // r: a row, 1 to 9: a tick at so many seconds, e: the end
		files      int
		kept       uint64
	}{
		{"nothing yet", "", "rr1r", 0, 0},
		{"the end", "", "rr1re", 1, 5},
		{"the end twice", "", "rr1ree", 1, 6},
		{"rows", "roll_rows = 2", "rrrr1r", 2, 5},
		{"rows, at the next write", "roll_rows = 2", "rrr", 1, 2},
		{"rows, at a tick", "roll_rows = 2", "rr1", 1, 3},
		{"age counts from the first tick", "roll_age = \"2s\"", "1r2r34", 1, 6},
		{"not old enough", "roll_age = \"2s\"", "1r2r3", 0, 1},
		{"writers", "writers = 1", "rrr", 2, 2},
	} {
		b := newBench(t, c.args+"\ncompact = 0", sample())
		for _, x := range c.spool {
			switch {
			case x == 'r':
				b.rows(one)
			case x == 'e':
				b.spool = append(b.spool, entry{tick: 9e6, ended: true})
			default:
				b.spool = append(b.spool, entry{tick: int64(x-'0') * 1e6})
			}
		}
		b.feed(0)
		if _, names := b.lines(); len(names) != c.files || b.Kept(uint64(len(b.spool))) != c.kept {
			t.Errorf("%s: %d files, needs %d; want %d, %d", c.name, len(names), b.Kept(uint64(len(b.spool))), c.files, c.kept)
		}
	}
}

// random makes a spool of many rows with ticks.
func (b *bench) random(n int) {
	for i := range n {
		text := header
		for j := range 1 + i%7 {
			day, dev := 1+(i*j)%9, (i*5+j)%23
			text += fmt.Sprintf("2026-01-%02dT00:00:%02dZ %d dev%02d site%d 2026-01-%02dT00:00:00Z %d.%d\n", day, i%60, dev, dev, (i+j)%4, day, i, j)
		}
		b.rows(text)
		if i%5 == 4 {
			b.spool = append(b.spool, entry{tick: int64(i) * 1e6})
		}
	}
	b.spool = append(b.spool, entry{tick: int64(n) * 1e6, ended: true})
}

// TestCrash stops the sink after every point and starts it again over what is there: no row is
// missing, none is double, and what is written again has the same bytes.
func TestCrash(t *testing.T) {
	args := "partition_by = [site, day(ts)]\nroll_rows = 40\nroll_age = \"20s\"\ncompact = 3\ngrace = \"10s\""
	calm := newBench(t, args, sample())
	calm.random(40)
	calm.feed(0)
	want, _ := calm.lines("device", "site", "temp", "_partition", "_offset", "_time")
	slices.Sort(want)
	crashes := 0
	for n := 1; ; n += 1 + n/8 {
		b := newBench(t, args, sample())
		b.spool = calm.spool
		files := map[string]string{}
		b.env.Point = func(point string) {
			if n--; n == 0 {
				b.keep(files)
				panic(env.ErrCrashed)
			}
		}
		stop := n
		from, crashed := b.until()
		if !crashed {
			break
		}
		crashes++
		b.sink.Close()
		b.env.Point = func(string) {}
		b.open()
		b.feed(from)
		n = stop
		got, _ := b.lines("device", "site", "temp", "_partition", "_offset", "_time")
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("after a crash at point %d: %d rows, want %d", stop, len(got), len(want))
		}
		b.same(files)
		b.tidy()
	}
	if crashes < 20 {
		t.Errorf("only %d crashes", crashes)
	}
}

// until feeds until a crash, and tells from where on the spool still is.
func (b *bench) until() (from uint64, crashed bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != env.ErrCrashed {
				panic(p)
			}
			crashed = true
		}
	}()
	for i := range b.spool {
		b.feedOne(uint64(i))
		if i%7 == 0 { // as often as a checkpoint notes it
			from = b.Kept(uint64(i) + 1)
		}
	}
	return 0, false
}

func (b *bench) feedOne(i uint64) {
	whole := b.spool
	defer func() { b.spool = whole }()
	b.spool = whole[:i+1]
	b.feed(i)
}

// keep notes the files that are there.
func (b *bench) keep(files map[string]string) {
	b.walk(func(name string, data []byte) {
		files[name] = objects.Checksum(data)
	})
}

// walk visits the data files of the lake.
func (b *bench) walk(f func(name string, data []byte)) {
	b.t.Helper()
	store, err := objects.Open(b.env, objects.Config{Place: filepath.Join(b.dir, "lake")})
	if err != nil {
		b.t.Fatal(err)
	}
	list, err := store.List(context.Background(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range list {
		data, _, err := store.Get(context.Background(), o.Name)
		if err != nil {
			b.t.Fatal(err)
		}
		if strings.HasSuffix(o.Name, ".parquet") {
			f(o.Name, data)
		}
	}
}

// same sees that files that are there again have the bytes that they had.
func (b *bench) same(before map[string]string) {
	b.t.Helper()
	b.walk(func(name string, data []byte) {
		if was := before[name]; was != "" && was != objects.Checksum(data) {
			b.t.Errorf("%s has other bytes than before the crash", name)
		}
	})
}

// tidy sees that no file is there that nobody lists.
func (b *bench) tidy() {
	b.t.Helper()
	listed := map[string]bool{}
	for _, f := range b.table.Manifest().Files {
		listed[f.Name] = true
	}
	for _, g := range b.table.Manifest().Gone {
		listed[g.Name] = true
	}
	b.walk(func(name string, _ []byte) {
		if !listed[name] {
			b.t.Errorf("%s is there, and not in the list", name)
		}
	})
}

// TestUpkeep: small files are merged, old ones go, and both stay for the grace period.
func TestUpkeep(t *testing.T) {
	b := newBench(t, "partition_by = [day(ts)]\nroll_rows = 1000\nroll_age = \"1s\"\ncompact = 4\ngrace = \"60s\"\nretention = \"1d\"", sample())
	now := int64(1767300000e6) // 2026-01-01, 20:40
	for i := range 9 {
		b.rows(header + fmt.Sprintf("2026-01-01T00:00:0%dZ %d dev%d oslo 2026-01-01T00:00:0%dZ %d\n", i, 9-i, 9-i, i, i))
		b.spool = append(b.spool, entry{tick: now + int64(i)*3e6}, entry{tick: now + int64(i)*3e6 + 2e6})
	}
	b.feed(0)
	rows, names := b.lines("device", "temp")
	if len(rows) != 9 || len(names) != 3 || b.counts["files_merged"] != 8 {
		t.Errorf("%q in %q; %v", rows, names, b.counts)
	}
	if merged := b.table.Manifest().Files[0]; merged.Merged != 4 || merged.Rows != 4 || merged.To != 10 || rows[0] != "dev6 3" {
		t.Errorf("merged: %+v, %q", merged, rows)
	}
	at := uint64(len(b.spool))
	b.spool = append(b.spool, entry{tick: now + 100e6}, entry{tick: now + 170e6}, entry{tick: now + 86400e6}, entry{tick: now + 86500e6})
	for i, want := range []struct{ seen, gone int }{{9, 8}, {3, 2}, {3, 0}} {
		seen := 0
		b.walk(func(name string, _ []byte) {
			if strings.HasSuffix(name, ".parquet") {
				seen++
			}
		})
		if n := len(b.table.Manifest().Gone); seen != want.seen || n != want.gone || b.counts["files_retired"] != 0 {
			t.Errorf("after %d ticks %d files are seen in the folders, %d wait to go; %v", i, seen, n, b.counts)
		}
		if i < 2 {
			b.feedOne(at + uint64(i))
		}
	}
	b.feed(at + 2)
	if rows, _ := b.lines("device"); len(rows) != 0 || b.counts["files_retired"] != 3 {
		t.Errorf("after a day: %q, %v", rows, b.counts)
	}
	b.tidy()
}

// TestGrown: columns that come later make files of their own.
func TestGrown(t *testing.T) {
	b := newBench(t, "", sample())
	b.rows(header + "2026-01-01T00:00:00Z 0 a oslo 2026-01-01T00:00:00Z 1\n")
	b.rows("_time\tdevice:string\tdoor:bool\n2026-01-01T00:00:01Z\tb\ttrue\n")
	b.spool = append(b.spool, entry{tick: 1e6, ended: true})
	b.feed(0)
	rows, names := b.lines("device", "door", "site")
	if !slices.Equal(rows, []string{"a ? oslo", "b true ?"}) || len(names) != 2 {
		t.Errorf("%q in %q", rows, names)
	}
	var cols []string
	for _, c := range b.table.Manifest().Shape.Columns {
		cols = append(cols, c.Name+":"+c.Type)
	}
	if got := strings.Join(cols, " "); got != "device:string site:string ts:timestamp temp:number _partition:int32 _offset:integer _index:int32 _received:timestamp _time:timestamp door:bool" {
		t.Error(got)
	}
}

// TestMistakes: what the author of a block is told, all at once.
func TestMistakes(t *testing.T) {
	text, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, block := range strings.Split(string(text), "\n\n") {
		args, _, _ := strings.Cut(block, "\n->")
		fmt.Fprintf(&out, "%s\n", args)
		_, diags := bind(t, args+"\n", sample())
		for _, d := range config.Sort(diags) {
			fmt.Fprintf(&out, "-> %d:%d %s: %s\n", d.Subject.Start.Line, d.Subject.Start.Column, d.Summary, d.Detail)
		}
		out.WriteString("\n")
	}
	if got := strings.TrimSuffix(out.String(), "\n"); got != strings.TrimSuffix(string(text), "\n")+"\n" {
		t.Errorf("testdata/mistakes.txt should be:\n%s", got)
	}
}
