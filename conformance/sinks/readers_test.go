package sinks

import (
	"context"
	wire "encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/parquet"
)

// found is what a reader finds in a column: how many values, the sum of those that are
// numbers, truth or time (ms), and the bytes of texts.
type found struct {
	N    int64   `json:"n"`
	Sum  float64 `json:"sum"`
	Text int64   `json:"text"`
}

// content is what a reader finds in a file.
type content struct {
	Rows    int64             `json:"rows"`
	Columns map[string]*found `json:"columns"`
	Error   string            `json:"error"`
}

// TestReaders: three readers find the same in every file of a lake, and all refuse damaged ones.
func TestReaders(t *testing.T) {
	lines := input(t, 20_000)
	g, err := newGateway(t.TempDir())
	must(t, err)
	defer func() { g.kill() }()
	w := newWork(t, lines, g, g.url(), "readers")
	must(t, w.Finish())
	table, err := w.local().Open(context.Background(), env.Real())
	must(t, err)
	files, err := table.Local(context.Background(), "", nil)
	must(t, err)
	if len(files) < 10 {
		t.Fatalf("%d files: the test would prove little", len(files))
	}
	theirs, rows := hyparquet(t, files), int64(0)
	for i, name := range files {
		data, err := os.ReadFile(name)
		must(t, err)
		own, err := arrowContent(data)
		must(t, err)
		if err := sameContent(own, theirs[i]); err != nil {
			t.Errorf("%s, hyparquet: %v", name, err)
		}
		theirs, err := duckContent(t, name, own)
		must(t, err)
		if err := sameContent(own, theirs); err != nil {
			t.Errorf("%s, DuckDB: %v", name, err)
		}
		rows += own.Rows
		if i == 2 {
			break // DuckDB takes a process each; all are read as a table below
		}
	}
	all := duck(t, filepath.Join(w.Dir, "lake"), "local", `SELECT count(*) AS n, typeof(any_value(day)) AS day, typeof(any_value(ts)) AS ts, typeof(any_value(temp)) AS temp FROM "local"`)[0]
	if n := all["n"].(float64); n < float64(len(lines))*0.9 || all["day"] != "DATE" || all["temp"] != "DOUBLE" || all["ts"] != "TIMESTAMP WITH TIME ZONE" {
		t.Errorf("the view has %v", all)
	}
	damaged(t, files[0])
	verified(t, w.local(), files[1])
}

// verified: Verify finds nothing wrong with a lake, and a bit that is flipped in it.
func verified(t *testing.T, s lake.Source, name string) {
	t.Helper()
	table, err := s.Open(context.Background(), env.Real())
	must(t, err)
	problems, err := table.Verify(context.Background())
	if err != nil || len(problems) > 0 {
		t.Errorf("problems of a lake that has none: %v, %v", problems, err)
	}
	data, err := os.ReadFile(name)
	must(t, err)
	data[len(data)/2] ^= 4
	must(t, os.WriteFile(name, data, 0o644))
	problems, err = table.Verify(context.Background())
	if err != nil || len(problems) != 1 || !strings.HasSuffix(name, problems[0].File) {
		t.Errorf("a flipped bit in %s: %v, %v", name, problems, err)
	}
}

// arrowContent is what arrow-go finds.
func arrowContent(data []byte) (*content, error) {
	batches, err := parquet.Read(data, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	c := &content{Columns: map[string]*found{}}
	for _, b := range batches {
		c.Rows += b.NumRows()
		for i, col := range b.Columns() {
			name := b.ColumnName(i)
			if c.Columns[name] == nil {
				c.Columns[name] = &found{}
			}
			c.Columns[name].add(col)
		}
	}
	return c, nil
}

func (f *found) add(col arrow.Array) {
	for i := range col.Len() {
		if col.IsNull(i) {
			continue
		}
		f.N++
		switch col := col.(type) {
		case *array.Float64:
			f.Sum += col.Value(i)
		case *array.Int64:
			f.Sum += float64(col.Value(i))
		case *array.Int32:
			f.Sum += float64(col.Value(i))
		case *array.Boolean:
			if col.Value(i) {
				f.Sum++
			}
		case *array.Timestamp:
			f.Sum += math.Floor(float64(col.Value(i)) / 1000)
		case *array.String:
			f.Text += int64(len(col.Value(i)))
		}
	}
}

func sameContent(want, got *content) error {
	if got.Error != "" || want.Rows != got.Rows || len(want.Columns) != len(got.Columns) {
		return fmt.Errorf("%d rows of %d columns, error %q; want %d of %d", got.Rows, len(got.Columns), got.Error, want.Rows, len(want.Columns))
	}
	for name, w := range want.Columns {
		g := got.Columns[name]
		if g == nil || g.N != w.N || g.Text != w.Text || math.Abs(g.Sum-w.Sum) > 1e-9*math.Max(1, math.Abs(w.Sum)) {
			return fmt.Errorf("column %s has %+v, want %+v", name, g, w)
		}
	}
	return nil
}

// hyparquet is what hyparquet finds, by file.
func hyparquet(t *testing.T, files []string) []*content {
	t.Helper()
	script, err := filepath.Abs("../oracle/hyparquet.mjs")
	must(t, err)
	out, err := exec.Command("node", append([]string{script}, files...)...).Output()
	must(t, err)
	var all []*content
	for line := range strings.Lines(string(out)) {
		c := &content{}
		must(t, json.Unmarshal([]byte(line), c))
		all = append(all, c)
	}
	if len(all) != len(files) {
		t.Fatalf("hyparquet answers for %d of %d files", len(all), len(files))
	}
	return all
}

// duckContent is what DuckDB finds in the columns that there are.
func duckContent(t *testing.T, name string, like *content) (*content, error) {
	t.Helper()
	var parts []string
	for c := range like.Columns {
		q := `"` + c + `"`
		parts = append(parts, fmt.Sprintf(`{name: '%s', n: count(%s), sum: coalesce(sum(CASE WHEN typeof(%s) = 'VARCHAR' THEN 0 WHEN typeof(%s) LIKE 'TIMESTAMP%%' THEN floor(epoch_us(TRY_CAST(%s::VARCHAR AS TIMESTAMPTZ)) / 1000) WHEN typeof(%s) = 'BOOLEAN' THEN TRY_CAST(%s::VARCHAR AS BOOLEAN)::INT ELSE TRY_CAST(%s::VARCHAR AS DOUBLE) END), 0), text: coalesce(sum(CASE WHEN typeof(%s) = 'VARCHAR' THEN strlen(%s::VARCHAR) ELSE 0 END), 0)}`,
			c, q, q, q, q, q, q, q, q, q))
	}
	rows, err := tryDuck(t, "/", "", fmt.Sprintf(`SELECT count(*) AS "rows", [%s] AS columns FROM read_parquet('%s', hive_partitioning = false)`, strings.Join(parts, ","), name))
	if err != nil {
		return nil, err
	}
	got := rows[0]
	out := &content{Rows: int64(got["rows"].(float64)), Columns: map[string]*found{}}
	for _, c := range got["columns"].([]any) {
		c := c.(map[string]any)
		out.Columns[c["name"].(string)] = &found{N: int64(c["n"].(float64)), Sum: c["sum"].(float64), Text: int64(c["text"].(float64))}
	}
	return out, nil
}

// damaged: a file cut short is refused by all readers, and no reader takes one with a
// flipped bit in a page for another content: zstd's checksum covers all that a page holds.
func damaged(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	pages := bodies(t, data)
	rng, dir := rand.New(rand.NewPCG(2, 2)), t.TempDir()
	var cut, flipped []string
	for i := range 6 {
		c := filepath.Join(dir, fmt.Sprintf("cut%d.parquet", i))
		must(t, os.WriteFile(c, data[:rng.IntN(len(data))], 0o644))
		cut = append(cut, c)
	}
	for i := range 60 { // most make no sense without a checksum too: those that do are few
		f := filepath.Join(dir, fmt.Sprintf("flipped%d.parquet", i))
		bad, body := append([]byte{}, data...), pages[rng.IntN(len(pages))]
		bad[body[0]+rng.IntN(body[1]-body[0])] ^= 1 << rng.IntN(8)
		must(t, os.WriteFile(f, bad, 0o644))
		flipped = append(flipped, f)
	}
	for i, c := range hyparquet(t, cut) {
		if c.Error == "" {
			t.Errorf("hyparquet reads a file cut short, %s", cut[i])
		}
	}
	want, err := arrowContent(data)
	must(t, err)
	for i, bad := range append(slices.Clone(cut), flipped...) {
		text, err := os.ReadFile(bad)
		must(t, err)
		if got, err := arrowContent(text); err == nil && (i < len(cut) || sameContent(want, got) != nil) {
			t.Errorf("arrow-go reads %s", bad)
		}
	}
	checks := duckRefuses(t, append(slices.Clone(cut), flipped...))
	for i, refused := range checks {
		if !refused && i < len(cut) {
			t.Errorf("DuckDB reads a file cut short, %s", cut[i])
		}
		if !refused && i >= len(cut) {
			// One that it reads into a table it may still refuse in another query.
			got, err := duckContent(t, flipped[i-len(cut)], want)
			if err == nil && sameContent(want, got) != nil {
				t.Errorf("DuckDB reads other values of %s", flipped[i-len(cut)])
			}
		}
	}
}

// bodies finds the pages of a file and tells where the content of each begins and ends.
// A page's header is Thrift of no fixed length and is not covered by any checksum, so it
// ends where the CRC that it gives fits what follows.
//
//	0x15 type │ 0x15 bytes │ 0x15 packed bytes │ 0x15 CRC │ … │ 0 │ packed bytes
func bodies(t *testing.T, data []byte) (all [][2]int) {
	t.Helper()
	for at := len("PAR1"); ; {
		var fields [4]int64
		for i := range fields {
			v, n := wire.Varint(data[at+1:])
			if data[at] != 0x15 || n <= 0 {
				if i == 0 && len(all) > 0 {
					return all // behind the last page stands the page index
				}
				t.Fatalf("no page's header at byte %d, behind %d pages", at, len(all))
			}
			fields[i], at = v, at+1+n
		}
		size := int(fields[2])
		for end := at + 4096; at < end && crc32.ChecksumIEEE(data[at:at+size]) != uint32(fields[3]); {
			at++
		}
		if crc32.ChecksumIEEE(data[at:at+size]) != uint32(fields[3]) {
			t.Fatalf("a page of %d bytes before byte %d fits no CRC", size, at)
		}
		all = append(all, [2]int{at, at + size})
		at += size
	}
}

// duckRefuses tells, by file, whether DuckDB refuses to read it.
func duckRefuses(t *testing.T, files []string) []bool {
	t.Helper()
	script, err := filepath.Abs("../oracle/refuses.mjs")
	must(t, err)
	out, err := exec.Command("node", append([]string{script}, files...)...).Output()
	must(t, err)
	var all []bool
	for line := range strings.Lines(string(out)) {
		all = append(all, strings.TrimSpace(line) == "refused")
	}
	if len(all) != len(files) {
		t.Fatalf("DuckDB answers for %d of %d files", len(all), len(files))
	}
	return all
}
