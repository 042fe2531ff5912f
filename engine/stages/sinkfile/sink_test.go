package sinkfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

var ctx = context.Background()

func parsed(t testing.TB, text string) arrow.RecordBatch {
	t.Helper()
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func bind(t testing.TB, spec stage.Spec, args string, in ...*arrow.Schema) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(args), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := spec.Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{Address: "pipeline.p.sink.s", Dir: "/conf"}
	for i := range in {
		at.Inputs = append(at.Inputs, fmt.Sprintf("rule.r%d", i))
	}
	return a.Bind(in, at)
}

func openSink(t testing.TB, e *env.Env, args string) stage.Sink {
	t.Helper()
	b, diags := bind(t, File(), args)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s, err := b.OpenSink(stage.Opening{Env: e, DataDir: "/data"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func content(t testing.TB, e *env.Env, name string) string {
	t.Helper()
	f, err := e.FS.Open(name, env.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return string(b)
}

func put(t testing.TB, e *env.Env, name, text string) {
	t.Helper()
	if err := e.FS.MkdirAll(name[:strings.LastIndexByte(name, '/')]); err != nil {
		t.Fatal(err)
	}
	f, err := e.FS.Open(name, env.Create)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Truncate(0)
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), e.FS.SyncDir(name[:strings.LastIndexByte(name, '/')])); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWritten(t *testing.T) {
	rows := "_offset _time s:string v:number l:list(integer) a.b:bool t:timestamp\n" +
		"1 00:01 \"x, \\\"y\\\"\" 1.5 [1,2] true 2026-11-22T10:15:30.5Z\n2 00:02 \"\" - - - -\n"
	for _, c := range []struct{ args, name, want string }{
		{`path = "o/a.ndjson"`, "/conf/o/a.ndjson", "{\"s\":\"x, \\\"y\\\"\",\"v\":1.5,\"l\":[1,2],\"a\":{\"b\":true},\"t\":\"2026-11-22T10:15:30.5Z\"}\n" +
			"{\"s\":\"\",\"v\":null,\"l\":null,\"a\":{\"b\":null},\"t\":null}\n"},
		{`path = "a.CSV"`, "/conf/a.CSV", "s,v,l,a.b,t\n\"x, \"\"y\"\"\",1.5,\"[1,2]\",true,2026-11-22T10:15:30.5Z\n\"\",,,,\n"},
		{"path = \"/abs/a.txt\"\nformat = \"csv\"", "/abs/a.txt", "s,v,l,a.b,t\n\"x, \"\"y\"\"\",1.5,\"[1,2]\",true,2026-11-22T10:15:30.5Z\n\"\",,,,\n"},
		{"path = \"data://r/a.csv\"\nmeta = true", "/data/r/a.csv", "_offset,_index,_received,_time,_slot,_mark,s,v,l,a.b,t\n" +
			"1,0,1970-01-01T00:01:00Z,1970-01-01T00:01:00Z,0,-9223372036854775808,\"x, \"\"y\"\"\",1.5,\"[1,2]\",true,2026-11-22T10:15:30.5Z\n" +
			"2,0,1970-01-01T00:02:00Z,1970-01-01T00:02:00Z,0,-9223372036854775808,\"\",,,,\n"},
	} {
		e := env.NewSim(1).Env()
		s := openSink(t, e, c.args)
		if err := s.Recover(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(ctx, 0, parsed(t, rows)); err != nil {
			t.Fatal(err)
		}
		token, err := s.Prepare(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(ctx, token); err != nil {
			t.Fatal(err)
		}
		if got := content(t, e, c.name); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.args, got, c.want)
		}
		if got := content(t, e, c.name+noteEnding); got != "(none)" {
			t.Errorf("%s: the note is still there: %q", c.args, got)
		}
	}
}

func TestWhoseFile(t *testing.T) {
	for _, c := range []struct{ name, args, before, note, token, want, err string }{
		{"empty", `path = "f"`, "", "", "", "{\"v\":1}\n", ""},
		{"another's", `path = "f"`, "old\n", "", "", "old\n", "holds 4 bytes already"},
		{"append", "path = \"f\"\nappend = true", "old\n", "", "", "old\n{\"v\":1}\n", ""},
		{"append to CSV of the same columns", "path = \"f\"\nappend = true\nformat = \"csv\"", "v\r\n7\r\n", "", "", "v\r\n7\r\n1\n", ""},
		{"append to CSV of others", "path = \"f\"\nappend = true\nformat = \"csv\"", "w\n7\n", "", "", "w\n7\n\nv\n1\n", ""},
		{"own, before the first checkpoint", `path = "f"`, "own, uncommitted", "\x01\x00", "", "{\"v\":1}\n", ""},
		{"own, appended", "path = \"f\"\nappend = true", "old\nown", "\x01\x04", "", "old\n{\"v\":1}\n", ""},
		{"a note cut short", `path = "f"`, "old\n", "\x01", "", "old\n", "holds 4 bytes already"},
		{"committed", `path = "f"`, "12345678", "", "\x01\x05", "12345{\"v\":1}\n", ""},
		{"committed, moved away", `path = "f"`, "(none)", "", "\x01\x05", "{\"v\":1}\n", ""},
		{"committed, and cut", `path = "f"`, "123", "", "\x01\x05", "123", "3 bytes, but 5 were committed"},
		{"a token of the future", `path = "f"`, "123", "", "\x09\x05", "123", "token"},
	} {
		e := env.NewSim(1).Env()
		if c.before != "(none)" {
			put(t, e, "/conf/f", c.before)
		}
		if c.note != "" {
			put(t, e, "/conf/f"+noteEnding, c.note)
		}
		s := openSink(t, e, c.args)
		var token []byte
		if c.token != "" {
			token = []byte(c.token)
		}
		err := s.Recover(ctx, token)
		if err == nil {
			if err := s.Write(ctx, 0, parsed(t, "v:number\n1")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Prepare(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v; want %q", c.name, err, c.err)
		}
		if got := content(t, e, "/conf/f"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestCrashes writes numbered rows, crashes anywhere, goes on from the last
// checkpoint, and looks that the file has each row once, in order.
func TestCrashes(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 9))
		sim := env.NewSim(seed)
		e := sim.Env()
		format := []string{"ndjson", "csv"}[seed%2]
		if seed%3 == 0 {
			put(t, e, "/conf/f", "n:integer\n")
			put(t, e, "/conf/f", "older\n")
		}
		args := "path = \"f\"\nappend = true\nformat = \"" + format + "\""
		var token []byte // of the last checkpoint, and how many rows it covers
		var covered, next int
		for run := range 6 {
			if run > 0 {
				sim.Crash(seed*7 + uint64(run))
				e = sim.Env()
			}
			next = covered
			s := openSink(t, e, args)
			if err := s.Recover(ctx, token); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for range r.IntN(12) {
				n := 1 + r.IntN(3)
				rows := "n:integer\n"
				for range n {
					rows += fmt.Sprintln(next)
					next++
				}
				if err := s.Write(ctx, 0, parsed(t, rows)); err != nil {
					t.Fatal(err)
				}
				if r.IntN(3) > 0 {
					continue
				}
				made, err := s.Prepare(ctx, 1)
				if err != nil {
					t.Fatal(err)
				}
				if r.IntN(3) == 0 {
					break // the checkpoint was never written
				}
				token, covered = made, next
				if r.IntN(3) > 0 {
					if err := s.Commit(ctx, token); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		sim.Crash(seed)
		s := openSink(t, sim.Env(), args)
		if err := s.Recover(ctx, token); err != nil {
			t.Fatal(err)
		}
		want := ""
		if seed%3 == 0 {
			want = "older\n"
		}
		if format == "csv" && covered > 0 {
			if want != "" {
				want += "\n"
			}
			want += "n\n"
		}
		for i := range covered {
			if format == "csv" {
				want += fmt.Sprintf("%d\n", i)
			} else {
				want += fmt.Sprintf("{\"n\":%d}\n", i)
			}
		}
		if got := content(t, sim.Env(), "/conf/f"); got != want {
			t.Fatalf("seed %d: %q, want %q", seed, got, want)
		}
	}
}

// TestTroubleIsRetried lets writes fail, as on a full disk, and tries again.
// TestFileThatIsRead: a file that an ingest reads is refused also where its folder goes by another name, and stays as it is.
func TestFileThatIsRead(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(dir+"/real", 0o755), os.Symlink(dir+"/real", dir+"/alias"), os.WriteFile(dir+"/real/in.ndjson", []byte("1\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]bool{"real/in.ndjson": true, "real/inner.ndjson": true, "real/out.ndjson": false} {
		opts := options{name: dir + "/" + name, reads: []reads{{"rows", dir + "/elsewhere/in*"}, {"lines", dir + "/alias/in*"}}}
		s, err := openFile(stage.Opening{Env: env.Real()}, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Recover(ctx, nil); refused != (err != nil && strings.Contains(err.Error(), "read by ingest.lines")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := content(t, env.Real(), dir+"/real/in.ndjson"); got != "1\n" {
		t.Errorf("the ingest's file has become %q", got)
	}
}

func TestTroubleIsRetried(t *testing.T) {
	sim := env.NewSim(1)
	e := sim.Env()
	s := openSink(t, e, `path = "f"`)
	if err := s.Recover(ctx, nil); err != nil {
		t.Fatal(err)
	}
	sim.SetDisk(sim.Used() + 100<<10)
	var want bytes.Buffer
	failed := 0
	for i := range 40 {
		text := strings.Repeat(fmt.Sprintf("%c", 'a'+i%26), 20000)
		fmt.Fprintf(&want, "{\"s\":%q}\n", text)
		rows := parsed(t, "s:string\n"+text)
		for s.Write(ctx, 0, rows) != nil {
			if failed++; failed > 3 {
				sim.SetDisk(0)
			}
		}
	}
	if _, err := s.Prepare(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if got := content(t, e, "/conf/f"); got != want.String() || failed == 0 {
		t.Errorf("after %d failures the file has %d bytes, it should have %d", failed, len(got), want.Len())
	}
	sim.Fail(env.Fault{Op: env.OpSync, Err: io.ErrUnexpectedEOF})
	s.Write(ctx, 0, parsed(t, "s:string\nx"))
	if _, err := s.Prepare(ctx, 2); err == nil || !strings.Contains(err.Error(), "could not be synced") {
		t.Errorf("a failed sync: %v", err)
	}
	sim.Heal()
	if _, err := s.Prepare(ctx, 3); err == nil {
		t.Error("after a failed sync the sink goes on as if nothing were")
	}
}

func TestMistakes(t *testing.T) {
	one, two := parsed(t, "a:number b:number\n").Schema(), parsed(t, "a:number\n").Schema()
	for _, c := range []struct {
		spec       stage.Spec
		args, want string
	}{
		{File(), `path = ""`, "Empty path"},
		{File(), `path = "data://"`, "Empty path"},
		{File(), `path = "out/"`, "Path is a folder"},
		{File(), "path = \"x\"\nformat = \"ndjsn\"", `Did you mean "ndjson"?`},
		{File(), `path = "x.csv"`, "rule.r0 has the columns a, b, and rule.r1 has a."},
		{Stdout(), `format = "text"`, "There are: ndjson, csv, table."},
		{Stdout(), `format = "csv"`, "CSV of different columns"},
	} {
		if _, diags := bind(t, c.spec, c.args, one, two); !strings.Contains(diags.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.args, diags, c.want)
		}
	}
	if _, diags := bind(t, File(), `path = "x.csv"`, one, one); diags.HasErrors() {
		t.Errorf("inputs with the same columns: %v", diags)
	}
}

func TestTable(t *testing.T) {
	want, err := os.ReadFile("testdata/table.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := newStdout(&out, options{table: true, inputs: []string{"alarm.a", "window.b"}}, false)
	for i, rows := range []string{
		"device:string temp:number ok:bool\ntrailer-1 -17.5 true\nt2 3 -\n",
		"device:string temp:number ok:bool\nt3 1000000 false\n",
		"device:string temp:number ok:bool\nt4 -0.10999999999999943 false\nt5 1.7976931348623157e308 -\nt6 1234567.25 true\n",
		"text:string n:integer\n\"two\\nlines\\u001b[31m\" 1\n\"" + strings.Repeat("long ", 20) + "\" 2\n",
	} {
		if err := s.Write(ctx, i/3, parsed(t, rows)); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestNoteOutlivesPower: a note whose sync has failed is none, though the page
// cache would show it to the next run.
func TestNoteOutlivesPower(t *testing.T) {
	rows := parsed(t, "v:integer\n1")
	defer rows.Release()
	for seed := range uint64(20) { // another part reaches the disk by the failed sync, and by the power cut
		noteOutlives(t, env.NewSim(seed), seed, rows)
	}
}

func noteOutlives(t *testing.T, sim *env.Sim, seed uint64, rows arrow.RecordBatch) {
	t.Helper()
	ctx := context.Background()
	sim.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO})
	if err := openSink(t, sim.Env(), `path = "f"`).Recover(ctx, nil); err == nil {
		t.Fatal("the sync of the note did not fail")
	}
	sim.Heal()
	sim.Kill()
	s := openSink(t, sim.Env(), `path = "f"`)
	if err := s.Recover(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx, 0, rows); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prepare(ctx, 1); err != nil {
		t.Fatal(err)
	}
	sim.Crash(seed)
	if err := openSink(t, sim.Env(), `path = "f"`).Recover(ctx, nil); err != nil {
		t.Fatal("after a power cut before the first checkpoint:", err)
	}
	if got := content(t, sim.Env(), "f"); got != "(none)" {
		t.Errorf("uncommitted rows are still there: %q", got)
	}
}
