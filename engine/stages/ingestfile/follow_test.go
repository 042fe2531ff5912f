package ingestfile

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/stage"
)

// TestFollow lets a log be written, rotated, truncated and replaced while it
// is read, and across restarts. Each step is: what is done to the folder, then
// what has come so far.
func TestFollow(t *testing.T) {
	type step struct{ do, want string }
	for _, c := range []struct {
		name, path string
		steps      []step
	}{
		{"growing", "log", []step{
			{"", ""}, {"log<1\n", "1"}, {"log<2\n3", "1 2"}, {"log<3\n", "1 2 33"}, {"restart", "1 2 33"}, {"log<4\n", "1 2 33 4"},
		}},
		{"renamed", "log", []step{
			{"log<1\n2\n", "1 2"}, {"soon log>log.1", "1 2"}, {"soon log.1<3\n", "1 2 3"}, {"log<4\n", "1 2 3 4"}, {"log<5\n", "1 2 3 4 5"}, {"restart", "1 2 3 4 5"},
		}},
		{"renamed, its last line not ended", "log", []step{
			{"log<1\n2", "1"}, {"log>log.1", "1 2"}, {"log<3\n", "1 2 3"},
		}},
		{"renamed while nobody looked", "log*", []step{
			{"log<1\n2\n", "1 2"}, {"stop", "1 2"}, {"log<3\n", "1 2"}, {"log>log.1", "1 2"}, {"log<4\n", "1 2"}, {"restart", "1 2 4 3"},
		}},
		{"truncated", "log", []step{
			{"log<1\n2\n", "1 2"}, {"log=3\n", "1 2 3"}, {"restart", "1 2 3"}, {"log<4\n", "1 2 3 4"},
		}},
		{"truncated, and begins alike", "log", []step{
			{"log<1\n2\n", "1 2"}, {"log=1\n", "1 2 1"}, {"restart", "1 2 1"}, {"log<5\n6\n", "1 2 1 5 6"}, {"restart", "1 2 1 5 6"},
		}},
		{"replaced by one that begins alike", "log", []step{
			{"log<1\n2\n", "1 2"}, {"log>old", "1 2"}, {"log<1\n7\n8\n", "1 2 1 7 8"}, {"restart", "1 2 1 7 8"},
		}},
		{"copied and truncated", "log*", []step{
			{"log<1\n2\n", "1 2"}, {"log.1=1\n2\n", "1 2"}, {"log=3\n", "1 2 3"}, {"restart", "1 2 3"},
		}},
		{"removed", "log", []step{
			{"log<1\n", "1"}, {"-log", "1"}, {"log<2\n", "1 2"},
		}},
	} {
		dir := t.TempDir()
		log := newFakeLog(1)
		r := newRig(t, env.Real(), log, fmt.Sprintf("path = %q\nfollow = true\nformat = \"ndjson\"", dir+"/"+c.path), nil)
		must(t, r.open())
		for i, s := range c.steps {
			if (s.do == "restart" || s.do == "stop") && r.src != nil {
				must(t, r.src.Close())
				r.src = nil
			}
			do, soon := strings.CutPrefix(s.do, "soon ")
			change(t, dir, do)
			r.patience = 3 * rescanEvery * missingLimit
			if soon { // before the source gives up on a renamed file
				r.patience = 2 * rescanEvery
			}
			if s.do == "restart" {
				must(t, r.open())
			}
			if r.src != nil {
				r.drain()
			}
			if got := strings.Join(log.all(), " "); got != s.want {
				t.Errorf("%s, step %d (%q): %q, want %q", c.name, i, s.do, got, s.want)
			}
		}
		if r.src != nil {
			must(t, r.src.Close())
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// change does "name<text" append, "name=text" overwrite, "from>to" rename, "-name" remove.
func change(t *testing.T, dir, do string) {
	t.Helper()
	switch at := strings.IndexAny(do, "<=>-"); {
	case at < 0:
	case do[at] == '-':
		must(t, os.Remove(dir+"/"+do[1:]))
	case do[at] == '>':
		must(t, os.Rename(dir+"/"+do[:at], dir+"/"+do[at+1:]))
	default:
		mode := os.O_APPEND
		if do[at] == '=' {
			mode = os.O_TRUNC
		}
		f, err := os.OpenFile(dir+"/"+do[:at], mode|os.O_CREATE|os.O_WRONLY, 0o600)
		must(t, err)
		_, err = f.WriteString(do[at+1:])
		must(t, err)
		must(t, f.Close())
	}
}

// Of files that begin alike and are followed, one is read: a copy is left out in silence, what is none is told of.
func TestFollowAlike(t *testing.T) {
	for other, want := range map[string]string{
		"{\"v\":1}\n":            "",
		"{\"v\":1}\n{\"v\":3}\n": "/conf/b.ndjson: not read: its first record is that of /conf/a.ndjson, by which files that are followed are known",
	} {
		e := env.NewSim(1).Env()
		if err := e.FS.MkdirAll("/conf"); err != nil {
			t.Fatal(err)
		}
		put(t, e, "/conf/a.ndjson", []byte("{\"v\":1}\n{\"v\":2}\n"))
		put(t, e, "/conf/b.ndjson", []byte(other))
		r := newRig(t, e, newFakeLog(1), "path = \"*\"\nfollow = true", serials)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		r.drain()
		if got := strings.Join(r.reports, "; "); got != want || len(r.log.all()) != 2 {
			t.Errorf("b is %q: %d records, told %q, not %q", other, len(r.log.all()), got, want)
		}
		if err := r.src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Two files that begin alike may be told from each other only later, when they have grown.
func TestFollowAlikeLater(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, env.Real(), newFakeLog(1), fmt.Sprintf("path = %q\nfollow = true\nformat = \"ndjson\"", dir+"/log*"), nil)
	must(t, r.open())
	for _, do := range []string{"log.a<1\n", "log.b<1\n", "log.a<2\n", "log.b<3\n"} {
		if len(r.reports) > 0 {
			t.Errorf("before %q: %q", do, r.reports)
		}
		change(t, dir, do)
		r.drain()
	}
	if got := strings.Join(r.log.all(), " "); got != "1 2" || len(r.reports) != 1 || !strings.Contains(r.reports[0], "log.b: not read") {
		t.Errorf("%q, told %q", got, r.reports)
	}
	must(t, r.src.Close())
}

// faulty is a file system in which files cannot be opened or read for a while.
type faulty struct {
	env.FS
	open, read string // the end of their names
}

type faultyFile struct {
	env.File
	fs   *faulty
	name string
}

func (f *faulty) Open(name string, flag env.Flag) (env.File, error) {
	if f.open != "" && strings.HasSuffix(name, f.open) {
		return nil, errors.New("not allowed")
	}
	file, err := f.FS.Open(name, flag)
	return &faultyFile{file, f, name}, err
}

func (f *faultyFile) ReadAt(b []byte, at int64) (int, error) {
	if f.fs.read != "" && strings.HasSuffix(f.name, f.fs.read) {
		return 0, errors.New("a bad block")
	}
	return f.File.ReadAt(b, at)
}

// A followed file that cannot be opened or read for a while is not taken for gone, and new ones are found meanwhile.
func TestFollowUnreadable(t *testing.T) {
	for name, c := range map[string]struct {
		faults     faulty
		want, then string
	}{
		"cannot be opened": {faulty{open: "/log"}, "1 5", "1 5 22"},
		"cannot be read":   {faulty{read: "/log"}, "1 5", "1 5 22"},
	} {
		dir, e := t.TempDir(), *env.Real()
		fs := &faulty{FS: e.FS}
		e.FS = fs
		r := newRig(t, &e, newFakeLog(1), fmt.Sprintf("path = %q\nfollow = true\nformat = \"ndjson\"", dir+"/log*"), nil)
		must(t, r.open())
		change(t, dir, "log<1\n2")
		r.drain()
		fs.open, fs.read = c.faults.open, c.faults.read
		change(t, dir, "log.b<5\n")
		wrong := 0
		for range 3 * rescanEvery * missingLimit {
			if _, err := r.src.Step(); err != nil {
				wrong++
			}
		}
		r.log.Flush()
		if got := strings.Join(r.log.all(), " "); got != c.want || wrong == 0 {
			t.Errorf("%s: %q, want %q, and %d errors", name, got, c.want, wrong)
		}
		fs.open, fs.read = "", ""
		change(t, dir, "log<2\n")
		r.drain()
		if got := strings.Join(r.log.all(), " "); got != c.then {
			t.Errorf("%s: then %q, want %q", name, got, c.then)
		}
		must(t, r.src.Close())
	}
}

func TestFollowOnce(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, env.Real(), newFakeLog(1), fmt.Sprintf("path = %q\nfollow = true", dir+"/*.ndjson"), nil)
	r.once, r.patience = true, 100
	for _, s := range []struct{ do, want string }{{"a.ndjson<1\n2", "1"}, {"a.ndjson<2\n3\n", "1 22 3"}, {"b.ndjson<4\n", "1 22 3 4"}} {
		change(t, dir, s.do)
		must(t, r.open())
		r.drain()
		if status, _ := r.src.Step(); status != stage.Ended {
			t.Errorf("the source has not ended")
		}
		must(t, r.src.Close())
		if got := strings.Join(r.log.all(), " "); got != s.want {
			t.Errorf("%q, want %q", got, s.want)
		}
	}
}

// TestOverlong reads records over the limit in bounded memory.
func TestOverlong(t *testing.T) {
	const size = 80 << 20
	for _, c := range []struct{ name, head, body, tail, want string }{
		{"a.ndjson", "{\"a\":1}\n", "x", "\n{\"a\":2}\n", "no record: line of 83886081 bytes from byte 8: a record has at most 67108864"},
		{"a.json", "[{\"a\":1},\"", "x", "\",{\"a\":2}]", "no record: value of 83886082 bytes from byte 9: a record has at most 67108864"},
		{"a.csv", "a\n1\n\"", "\n", "\"\n2\n", "no record: row of 83886083 bytes from byte 4: a record has at most 67108864"},
	} {
		e := env.Real()
		fsys := &holey{FS: e.FS, size: size, c: c.head, fill: c.body[0], tail: c.tail}
		e.FS = fsys
		r := newRig(t, e, newFakeLog(1), fmt.Sprintf("path = %q", "/"+c.name), nil)
		must(t, r.open())
		r.drain()
		if got := r.log.all(); len(got) != 3 || got[0] != `{"a":1}` || got[1] != c.want || got[2] != `{"a":2}` {
			t.Errorf("%s: %.300q", c.name, got)
		}
		if most := fsys.buffer; most > maxRecord+4*readBytes {
			t.Errorf("%s: a read of %d bytes", c.name, most)
		}
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	e := env.NewSim(1).Env()
	must(t, e.FS.MkdirAll("/conf/data"))
	put(t, e, "/conf/data/there.ndjson", []byte("1\n"))
	put(t, e, "/conf/twice.csv", []byte("a,a\n1,2\n"))
	put(t, e, "/conf/cut.ndjson.gz", gzipped([]byte(strings.Repeat("1234567\n", 1000)))[:40])
	for _, c := range []struct{ args, want string }{
		{`path = "data/their.ndjson"`, "there is no file /conf/data/their.ndjson; the folder holds there.ndjson"},
		{`path = "dat/x.ndjson"`, "no folder /conf/dat"},
		{`path = "data/*.csv"`, "no file in /conf/data has a name like *.csv"},
		{`path = "data"`, "is a folder"},
		{`path = "twice.csv"`, `the header names column "a" twice`},
		{`path = "cut.ndjson.gz"`, "ends in the middle of its compressed data"},
		{"path = \"cut.ndjson.gz\"\nfollow = true", "cannot be followed"},
	} {
		r := newRig(t, e, newFakeLog(1), c.args, nil)
		err := r.open()
		for i := 0; err == nil && i < 20; i++ {
			_, err = r.src.Step()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.args, err, c.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"path = []", "Not a path"},
		{"path = 3.5", "path takes the name of a file"},
		{`path = [""]`, "Not a path"},
		{`path = ["a", null]`, "Not a path"},
		{"path = \"a\"\nformat = \"jsn\"", `Did you mean "json"?`},
		{`path = "a*/b"`, "Wildcards stand in the last part of a path only."},
		{`path = "a[.csv"`, "a bracket is not closed"},
		{"path = \"a\"\nseparator = \"::\"", "Impossible separator"},
		{"path = \"a\"\nseparator = \"\\n\"", "Impossible separator"},
		{"path = \"a\"\ncolumns = [\"x\", \"x\"]", "Column named twice"},
		{"path = \"a\"\ncolumns = [\"\"]", "Column without a name"},
		{"path = \"a\"\nformat = \"json\"\nfollow = true", "cannot be followed"},
	} {
		if _, diags := bound(t, c.args, nil); !strings.Contains(diags.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.args, diags, c.want)
		}
	}
}
