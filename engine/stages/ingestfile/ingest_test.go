package ingestfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
)

type formatCase struct{ name, args, content, want string }

func formatCases(t *testing.T) []formatCase {
	data, err := os.ReadFile("testdata/formats.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []formatCase
	for _, text := range strings.Split(string(data), "\n== ")[1:] {
		parts := strings.Split(strings.TrimSuffix(text, "\n"), "\n--")
		name, args, _ := strings.Cut(parts[0], "\n")
		if len(parts) != 3 {
			t.Fatalf("case %s has %d parts", name, len(parts))
		}
		var content []byte
		for rest := strings.TrimPrefix(parts[1], "\n"); rest != ""; {
			c, _, tail, err := strconv.UnquoteChar(rest, 0)
			if err != nil {
				t.Fatalf("case %s: %v", name, err)
			}
			content, rest = append(content, byte(c)), tail
		}
		out = append(out, formatCase{name, args, string(content), strings.TrimPrefix(parts[2], "\n")})
	}
	return out
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstandard(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(b, nil)
}

var serials = &config.Channel{Schema: []config.Field{{Name: "serial", Type: arrow.BinaryTypes.String}, {Name: "v", Type: arrow.PrimitiveTypes.Float64}}}

func TestFormats(t *testing.T) {
	for _, c := range formatCases(t) {
		for packing, pack := range map[string]func([]byte) []byte{
			"plain": func(b []byte) []byte { return b }, "gzip": gzipped, "zstd": zstandard,
		} {
			e := env.NewSim(1).Env()
			if err := e.FS.MkdirAll("/conf"); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a.ndjson", "a.json", "a.csv", "a.txt"} {
				put(t, e, "/conf/"+name, pack([]byte(c.content)))
			}
			r := newRig(t, e, newFakeLog(1), c.args, serials)
			if err := r.open(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			r.drain()
			got := r.log.all()
			for i := range got {
				got[i] = strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(strconv.Quote(got[i]), `\"`, `"`), `"`), `"`)
			}
			var counters []string
			for name, n := range r.counts {
				counters = append(counters, fmt.Sprintf("%s=%d", name, n))
			}
			sort.Strings(counters)
			if text := strings.Join(append(got, counters...), "\n"); text != c.want {
				t.Errorf("%s, %s:\n%s\nwant\n%s", c.name, packing, text, c.want)
			}
			if done, total := r.src.(*source).Progress(); done != total || total != int64(len(pack([]byte(c.content)))) {
				t.Errorf("%s, %s: progress is %d of %d at the end", c.name, packing, done, total)
			}
		}
	}
}

// TestExactlyOnce crashes at random and looks that every record is in its
// partition once, in order.
func TestExactlyOnce(t *testing.T) {
	for _, kind := range []string{"ndjson", "json", "csv"} {
		for seed := range uint64(120) {
			r := rand.New(rand.NewPCG(seed, 1))
			content := randomFile(r, kind)
			pack := []func([]byte) []byte{func(b []byte) []byte { return b }, gzipped, zstandard}[seed%3]
			once(t, kind, seed, r, pack(content), false)
			once(t, kind, seed, r, pack(content), true)
		}
	}
}

func once(t *testing.T, kind string, seed uint64, r *rand.Rand, content []byte, crashes bool) {
	t.Helper()
	e := env.NewSim(seed).Env()
	if err := e.FS.MkdirAll("/conf"); err != nil {
		t.Fatal(err)
	}
	put(t, e, "/conf/in."+kind, content)
	put(t, e, "/conf/other."+kind, content) // begins alike, and is another file
	want := newRig(t, e, newFakeLog(3), fmt.Sprintf("path = \"*.%s\"", kind), nil)
	if err := want.open(); err != nil {
		t.Fatal(err)
	}
	want.drain()
	if !crashes {
		return
	}
	got := newRig(t, e, newFakeLog(3), fmt.Sprintf("path = \"*.%s\"", kind), nil)
	got.log.busy = func() bool { return r.IntN(3) == 0 }
	for range 20 {
		if err := got.open(); err != nil {
			t.Fatal(err)
		}
		got.src.(*source).batch.limit = 1 + r.IntN(5)
		for range r.IntN(12) {
			if _, err := got.src.Step(); err != nil {
				t.Fatal(err)
			}
			if r.IntN(4) == 0 {
				got.log.Flush()
			}
		}
		got.log.crash(r)
		got.src.Close()
	}
	if err := got.open(); err != nil {
		t.Fatal(err)
	}
	got.drain()
	if shown(got.log.all()) != shown(want.log.all()) {
		t.Fatalf("%s, seed %d:\n%s\nwant\n%s\nof\n%s", kind, seed, shown(got.log.all()), shown(want.log.all()), content)
	}
}

func randomFile(r *rand.Rand, kind string) []byte {
	var b bytes.Buffer
	n := r.IntN(20)
	switch kind {
	case "csv":
		b.WriteString("n,text\n")
		for i := range n {
			fmt.Fprintf(&b, "%d,%s\n", i, []string{"a", `"b,""c""`, "\"d\ne\"", "", "x,y"}[r.IntN(5)])
		}
		if r.IntN(3) == 0 {
			b.WriteString(`9,"open`)
		}
	case "json":
		b.WriteString("[")
		for i := range n {
			fmt.Fprintf(&b, "%s{\"n\":%d}%s", []string{"", " ", "\n"}[r.IntN(3)], i, []string{",", ",", " ", " ,"}[r.IntN(4)])
		}
		b.WriteString([]string{"]", "", " ]\n", "]]", `{"n":`}[r.IntN(5)])
	default:
		for i := range n {
			fmt.Fprintf(&b, "{\"n\":%d}%s", i, []string{"\n", "\r\n", "\n\n"}[r.IntN(3)])
		}
		if r.IntN(3) == 0 {
			b.WriteString("last")
		}
	}
	return b.Bytes()
}

// counting counts the bytes that are read of compressed files.
type counting struct {
	env.FS
	n *int
}

type countedFile struct {
	env.File
	n *int
}

func (c counting) Open(name string, flag env.Flag) (env.File, error) {
	f, err := c.FS.Open(name, flag)
	if !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	return countedFile{f, c.n}, err
}

func (f countedFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	*f.n += n
	return n, err
}

// A file that cannot be read is told of and tried again, and holds up no other; when it is whole, it counts once.
func TestUnreadable(t *testing.T) {
	whole := gzipped([]byte(strings.Repeat(`{"v":2}`+"\n", 5000)))
	for _, follow := range []bool{false, true} {
		e := env.NewSim(1).Env()
		if err := e.FS.MkdirAll("/conf"); err != nil {
			t.Fatal(err)
		}
		put(t, e, "/conf/a.csv", []byte("v,v\n1,1\n"))
		put(t, e, "/conf/c.csv", []byte("v\n3\n"))
		args, want := `path = "*"`, 5002
		if follow {
			args, want = args+"\nfollow = true", 2
		} else {
			put(t, e, "/conf/b.ndjson.gz", whole[:len(whole)-20])
		}
		r := newRig(t, e, newFakeLog(1), args, serials)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		said, read := map[string]bool{}, 0
		e.FS = counting{e.FS, &read}
		step := func() {
			for range 200 {
				if _, err := r.src.Step(); err != nil {
					said[err.Error()] = true
				}
			}
			r.log.Flush()
		}
		step()
		if got := shown(r.log.all()); !strings.Contains(got, `{"v":3}`) {
			t.Errorf("follow = %v: nothing came of the file behind those that cannot be read: %q", follow, got)
		}
		if !said[`/conf/a.csv: the header names column "v" twice`] || !follow && len(said) != 2 {
			t.Errorf("follow = %v: told %v", follow, said)
		}
		// What is damaged is decompressed once, and not at each try.
		if most := 4 * len(whole); !follow && read > most {
			t.Errorf("%d bytes of a damaged file were read, of %d", read, len(whole))
		}
		put(t, e, "/conf/a.csv", []byte("v,w\n1,1\n"))
		if !follow {
			put(t, e, "/conf/b.ndjson.gz", whole)
		}
		step()
		if got := len(r.log.all()); got != want {
			t.Errorf("follow = %v: %d records, not %d", follow, got, want)
		}
		if err := r.src.Close(); err != nil {
			t.Error(err)
		}
	}
}
