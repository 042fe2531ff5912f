package enrich

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/parquet"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

const common3 = "by = [site]\nwith = [id]\ncolumns = { id = string, region = string, lat = number }\n"

// lab is a stage at work on a simulated machine.
type lab struct {
	t       *testing.T
	sim     *env.Sim
	mem     *memory.CheckedAllocator
	spec    stage.Spec
	body    string
	stage   stage.Stage
	table   *state.Table
	bound   stage.Bound
	out     []string
	rejects []string
	counts  map[string]int64
	told    []string
	part    int
}

func newLab(t *testing.T, spec stage.Spec, body string) *lab {
	return &lab{t: t, sim: env.NewSim(1), mem: memory.NewCheckedAllocator(memory.DefaultAllocator), spec: spec, body: body, counts: map[string]int64{}}
}

func (l *lab) write(name, content string) {
	l.t.Helper()
	fsys := l.sim.Env().FS
	l.must(fsys.MkdirAll("/in"))
	f, err := fsys.Open(name, env.Create)
	l.must(err)
	l.must(f.Truncate(0))
	_, err = f.WriteAt([]byte(content), 0)
	l.must(err)
	l.must(f.Close())
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) rows(sites ...string) arrow.RecordBatch {
	text := "_time site:string\n"
	for _, s := range sites {
		text += "00:00:01 " + s + "\n"
	}
	rows, err := flow.ParseRows(l.mem, text)
	l.must(err)
	return rows
}

// open opens the stage over a state, nil for none.
func (l *lab) open(s *state.Snapshot) error {
	l.t.Helper()
	rows := l.rows()
	defer rows.Release()
	bound, diags := stagetest.Bind(l.spec, []byte(l.body), rows.Schema(), "site", 1)
	if diags.HasErrors() {
		l.t.Fatal(diags)
	}
	l.bound, l.table = bound, state.New(bound.State[0])
	if s != nil {
		var err error
		l.table, err = state.Restore(bound.State[0], s)
		l.must(err)
	}
	return l.start()
}

func (l *lab) program() *program { return l.stage.(*enrich).program }

// start opens the stage that is bound.
func (l *lab) start() error {
	st, err := l.bound.OpenStage(stage.Opening{Env: l.sim.Env(), DataDir: "/data", Address: "enrich.it", Alloc: l.mem, Tables: []*state.Table{l.table}, Partition: l.part,
		Report: func(line string) { l.told = append(l.told, line) },
		Reject: func(r stage.Reject) { l.rejects = append(l.rejects, r.Reason) }, Count: func(name string, n int64) { l.counts[name] += n }})
	l.stage = st
	return err
}

// Emit takes what the stage sends.
func (l *lab) Emit(rows arrow.RecordBatch) {
	e := flow.NewJSONEncoder(rows.Schema(), false)
	for i := range int(rows.NumRows()) {
		l.out = append(l.out, string(e.AppendRow(nil, rows, i)))
	}
	rows.Release()
}

// look gives the stage rows and returns what became of them.
func (l *lab) look(sites ...string) string {
	l.out = nil
	rows := l.rows(sites...)
	l.must(l.stage.Process(0, rows, l))
	rows.Release()
	return strings.Join(l.out, "\n")
}

func (l *lab) tick(second int64) {
	l.must(l.stage.Advance(0, flow.Watermarks{Tick: second * 1_000_000, Ticked: true}, l))
}

func (l *lab) close() {
	l.must(l.stage.Close())
	l.mem.AssertSize(l.t, 0)
}

func parquetOf(t *testing.T, text string) string {
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := parquet.Library(rows.Schema(), []arrow.RecordBatch{rows})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const csvTable = "more,id,region,lat\nx,a,north,1.5\nx,b,\"so\nuth\",\nx,a,east,2.5\n"

const found = `{"site":"a","region":"east","lat":2.5}` + "\n" + `{"site":"b","region":"so\nuth","lat":null}` + "\n"

// TestFormats: the same table in every format, and every answer to a key that is not there.
func TestFormats(t *testing.T) {
	for name, content := range map[string]string{
		"/in/t.csv":    csvTable,
		"/in/t.ndjson": `{"id":"a","region":"north","lat":1.5}` + "\n" + `{"id":"b","region":"so\nuth","lat":null,"more":[1]}` + "\n" + `{"id":"a","region":"east","lat":2.5}` + "\n",
		"/in/t.json":   `[{"id":"a","region":"north","lat":1.5},{"id":"b","region":"so\nuth"},{"region":"nobody"},{"id":"a","region":"east","lat":2.5}]`,
		"/in/t.parquet": parquetOf(t, `_time    id:string region:string lat:number
00:00:00 a         north         1.5
00:00:00 b         "so\nuth"     -
00:00:00 a         east          2.5
`),
	} {
		for missing, want := range map[string]string{
			"":                                    `{"site":"z","region":null,"lat":null}` + "\n" + `{"site":null,"region":null,"lat":null}`,
			"missing = \"drop\"":                  "",
			"missing = \"reject\"":                "",
			"default = { region = \"?${site}\" }": `{"site":"z","region":"?z","lat":null}` + "\n" + `{"site":null,"region":null,"lat":null}`,
		} {
			l := newLab(t, File(), common3+fmt.Sprintf("path = %q\n%s\n", name, missing))
			l.write(name, content)
			l.must(l.open(nil))
			if got := l.look("a", "b", "z", "-"); strings.TrimSpace(got) != strings.TrimSpace(found+want) {
				t.Errorf("%s, %s:\n%s\nwant\n%s", name, missing, got, found+want)
			}
			if l.counts["missing"] != 2 || strings.Contains(missing, "reject") != (len(l.rejects) == 2) {
				t.Errorf("%s, %s: %v %q", name, missing, l.counts, l.rejects)
			}
			l.close()
		}
	}
}

// TestHalfWritten: a file that is cut anywhere is never taken for a table, and the one before stays.
func TestHalfWritten(t *testing.T) {
	for name, whole := range map[string]string{
		"/in/t.csv":     "id,region,lat\na,north,1.5\nb,south,22.25\n",
		"/in/t.ndjson":  `{"id":"a","region":"north","lat":1.5}` + "\n" + `{"id":"b","region":"south","lat":22.25}` + "\n",
		"/in/t.json":    `[{"id":"a","region":"north","lat":1.5},{"id":"b","region":"south","lat":22.25}]`,
		"/in/t.parquet": parquetOf(t, "_time id:string region:string lat:number\n00:00:00 a north 1.5\n00:00:00 b south 22.25\n"),
	} {
		l := newLab(t, File(), common3+fmt.Sprintf("path = %q\nrefresh = \"1s\"\n", name))
		l.write(name, whole)
		l.must(l.open(nil))
		want := l.look("a", "b")
		step := max(1, len(whole)/150)
		for n := 0; n < len(whole); n += step {
			text := strings.Count(whole[:n], "\n")
			if strings.HasSuffix(whole[:n], "\n") && text > 0 {
				continue // a whole shorter table
			}
			l.write(name, whole[:n])
			failed := l.counts["refresh_failed"]
			l.tick(int64(10 + n))
			if got := l.look("a", "b"); got != want || l.counts["refresh_failed"] != failed+1 {
				t.Fatalf("%s, cut at %d: %s, %v", name, n, got, l.counts)
			}
		}
		l.close()
		l.write(name, whole[:len(whole)-2])
		l = newLab(t, File(), l.body)
		l.write(name, whole[:len(whole)-2])
		if err := l.open(nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: half a file at the start gives %v", name, err)
		}
	}
}

// TestTold: why a table cannot be had is told once until it changes, in words of whoever wrote the file, by the first partition.
func TestTold(t *testing.T) {
	steps := []struct{ content, told string }{
		{`[{"id":"a"}]`, ""},
		{"<!DOCTYPE html>\n<html></html>\n", "it is no JSON, but HTML or XML: perhaps the page of a login, or of an error; the table stays as it was"},
		{" <html></html>", ""},
		{`[{"id":"a"},`, "it breaks off: perhaps it is half written; the table stays as it was"},
		{"", "it is empty; the table stays as it was"},
		{`[{"id":"b"}]`, "can be read again"},
		{`[{"id":"b"}]`, ""},
		{"[\n{\"id\" \"b\"}]", "it is no JSON: what is wrong begins in line 2, at byte 7 of that; the table stays as it was"},
		{`{"id":"b"}`, "it is JSON, but not a list of objects, [{...}, {...}]; the table stays as it was"},
		{`[{"id":7}]`, "row 1, column id: a value of another type; the table stays as it was"},
		{`[{"id":"b"}]`, "can be read again"},
	}
	for _, part := range []int{0, 3} {
		l := newLab(t, File(), common3+"path = \"/in/t.json\"\nrefresh = \"1s\"\n")
		l.part = part
		failed := int64(0)
		for i, s := range steps {
			l.write("/in/t.json", s.content)
			if l.told = nil; i == 0 {
				l.must(l.open(nil))
			}
			l.tick(int64(10 + i))
			want := ""
			if s.told != "" && part == 0 {
				want = "enrich.it: /in/t.json: " + s.told
			}
			if strings.Contains(s.told, "stays") || i == 2 {
				failed++
			}
			if got := strings.Join(l.told, "\n"); got != want || l.counts["refresh_failed"] != failed {
				t.Errorf("partition %d, %q: told %q, want %q; %v, want %d failures", part, s.content, got, want, l.counts, failed)
			}
		}
		l.close()
	}
}

// TestMistakes: one mistake has one message.
func TestMistakes(t *testing.T) {
	l := newLab(t, File(), "")
	rows := l.rows()
	defer rows.Release()
	_, diags := stagetest.Bind(File(), []byte("path = \"t.csv\"\nby = [sit]\nwith = [id]\ncolumns = { id = string, lat = number }\n"), rows.Schema(), "site", 1)
	if len(diags) != 1 || !strings.Contains(diags[0].Detail, "site") {
		t.Errorf("a wrong name in by gives %v", diags)
	}
}

// TestReplay: whatever the file has become, ticks that come again find the versions that they found.
func TestReplay(t *testing.T) {
	table := func(n int) string { return fmt.Sprintf("id,region,lat\na,r%d,%d\n", n, n) }
	l := newLab(t, File(), common3+"path = \"/in/t.csv\"\nrefresh = \"2s\"\n")
	l.write("/in/t.csv", table(0))
	l.must(l.open(nil))
	const seconds = 20
	var saw []string
	var snaps []*state.Snapshot
	for s := range int64(seconds) {
		if s%3 == 1 {
			l.write("/in/t.csv", table(int(s)))
		}
		snap, err := state.DecodeSnapshot(l.table.Snapshot(true).AppendTo(nil))
		l.must(err)
		snaps = append(snaps, snap)
		l.tick(s)
		saw = append(saw, l.look("a"))
	}
	l.close()
	if saw[seconds-1] == saw[0] {
		t.Fatal("the table was never refreshed")
	}
	for from := range seconds {
		l.write("/in/t.csv", table(1000+from))
		l.sim.Kill()
		l.sim.Crash(uint64(from))
		snap := snaps[from]
		if from == 0 {
			snap = nil // before the first checkpoint
		}
		l.must(l.open(snap))
		last := l.stage.(*enrich).versions.last() / 1_000_000
		for s := int64(from); s <= last; s++ {
			l.tick(s)
			if got := l.look("a"); got != saw[s] {
				t.Fatalf("from %d, tick %d: %s, and it was %s", from, s, got, saw[s])
			}
		}
		l.must(l.stage.Close())
	}
}

// TestServer: a server that answers, changes, fails and hangs.
func TestServer(t *testing.T) {
	answer := make(chan http.HandlerFunc, 1)
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	over, end := context.WithCancel(context.Background())
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over.Done():
		case <-r.Context().Done():
		}
	}
	now := text(csvTable)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case now = <-answer:
		default:
		}
		if r.Header.Get("Token") != "t" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		now(w, r)
	}))
	defer s.Close()
	defer end()
	body := common3 + fmt.Sprintf("url = %q\nformat = \"csv\"\nrefresh = \"1s\"\nheaders = { Token = \"t\" }\ntimeout = \"1s\"\nmax_bytes = \"1KiB\"\n", s.URL+"/t?secret=1")
	l := newLab(t, HTTP(), body)
	l.must(l.open(nil))
	if got := l.look("a", "b"); got != strings.TrimSpace(found) {
		t.Errorf("got %s", got)
	}
	second := int64(10)
	until := func(what string, is func() bool) {
		t.Helper()
		for limit := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
			if second++; time.Now().After(limit) {
				t.Fatalf("not in a minute: %s", what)
			}
			l.tick(second)
		}
	}
	answer <- text("id,region,lat\na,west,3\n")
	until("another table", func() bool { return strings.Contains(l.look("a"), "west") })
	for name, bad := range map[string]http.HandlerFunc{
		"cut": text("id,region,lat\na,we"), "long": text("id,region,lat\n" + strings.Repeat("a,b,1\n", 1000)), "failing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "hanging": hang,
	} {
		failed := l.counts["refresh_failed"]
		answer <- bad
		until(name, func() bool { return l.counts["refresh_failed"] > failed+1 })
		if !strings.Contains(l.look("a"), "west") {
			t.Errorf("%s: the table is gone: %s", name, l.look("a"))
		}
	}
	l.close()
	answer <- hang
	fresh := newLab(t, HTTP(), body)
	if err := fresh.open(nil); err == nil || !strings.Contains(err.Error(), "no answer") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a server that hangs at the start gives %v", err)
	}
}

// TestServerOnce: the partitions of a stage ask a server once, at the start and each time that the table is asked for again; what it says reaches
// all of them, and the last one that ends lets go of it.
func TestServerOnce(t *testing.T) {
	var asked, region atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if region.Load() < 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "id,region,lat\na,r%d,1\n", region.Load())
	}))
	defer s.Close()
	first := newLab(t, HTTP(), common3+fmt.Sprintf("url = %q\nformat = \"csv\"\nrefresh = \"10s\"\n", s.URL))
	labs := []*lab{first}
	first.must(first.open(nil))
	for part := 1; part < 4; part++ {
		l := newLab(t, HTTP(), first.body)
		l.sim, l.part, l.spec = first.sim, part, first.spec // each partition is bound by itself
		l.must(l.open(nil))
		labs = append(labs, l)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests at the start", n)
	}
	until := func(l *lab, second int64, what string, is func() bool) {
		t.Helper()
		for limit := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("not in a minute: %s", what)
			}
			l.tick(second)
		}
	}
	for round := range int64(3) {
		region.Store(round + 1)
		want := fmt.Sprintf("r%d", round+1)
		for _, l := range labs { // each is at the same tick, and behind the answer to the first: nobody asks again
			until(l, 100*(round+1), want, func() bool { return strings.Contains(l.look("a"), want) })
			l.tick(100 * (round + 1))
		}
		if n := asked.Load(); n != round+2 {
			t.Errorf("%d requests after %d rounds", n, round+1)
		}
	}
	region.Store(-1)
	for _, l := range labs {
		until(l, 1000, "a failure", func() bool { return l.counts["refresh_failed"] > 0 })
		for range 3 { // it is taken once
			l.tick(1000)
		}
		if n := l.counts["refresh_failed"]; n != 1 || asked.Load() != 5 {
			t.Errorf("%d failures of one, %d requests", n, asked.Load())
		}
	}
	for _, l := range labs {
		l.close()
	}
	if n := len(first.program().servers.open); n != 0 {
		t.Errorf("%d servers are asked that nobody uses any more", n)
	}
}
