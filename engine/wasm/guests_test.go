package wasm

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// goGuest builds the guest in Go.
func goGuest(t testing.TB) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "./testdata/goguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("testdata/over.json")
	if err != nil {
		t.Fatal(err)
	}
	if code, err = Attach(code, manifest); err != nil {
		t.Fatal(err)
	}
	return code
}

// TestGoGuest: Go's runtime starts with what WASI it is given, and computes what C does.
func TestGoGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("building takes seconds")
	}
	code := goGuest(t)
	if len(code) > 2_500_000 {
		t.Errorf("the guest has %d bytes", len(code))
	}
	in := fourColumns(5000)
	var sums [2]float64
	for i, m := range [][]byte{module(t, "over"), code} {
		r := runner(t, load(t, m, Limits{}), RunnerOptions{})
		for range 3 {
			out := r.Run(in)
			if out.Rows != 5000 || len(out.Rejects) > 0 {
				t.Fatalf("%d rows, rejects %v", out.Rows, out.Rejects)
			}
			for _, v := range out.Columns[0].(*array.Float64).Float64Values() {
				sums[i] += v
			}
		}
	}
	if sums[0] != sums[1] || sums[0] == 0 {
		t.Errorf("C gives %v, Go gives %v", sums[0], sums[1])
	}
}

// TestGoPanic: the reject of a row at which a guest in Go panics says what Go's runtime says, and the rows around it go on.
func TestGoPanic(t *testing.T) {
	if testing.Short() {
		t.Skip("building takes seconds")
	}
	r := runner(t, load(t, goGuest(t), Limits{}), RunnerOptions{})
	in := fourColumns(3)
	in.Columns[0] = floats([]float64{-1001, 1, 3}, nil)
	out := r.Run(in)
	const want = "it trapped: unreachable: panic: runtime error: index out of range [-1001]"
	if out.Rows != 2 || len(out.Rejects) != 1 || out.Rejects[0].Row != 0 || !strings.HasSuffix(out.Rejects[0].Reason, want) {
		t.Errorf("%d rows, rejects %v; want 2, and %q", out.Rows, out.Rejects, want)
	}
}

// TestMigrate: a new version finds the state of the old one, turned into its own, row by row as
// keys come; a state that it cannot read is left alone and the row rejected.
func TestMigrate(t *testing.T) {
	p := load(t, module(t, "migrate"), Limits{})
	settings, problems := p.Manifest.Settings(nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := runner(t, p, RunnerOptions{Settings: settings})
	table := r.o.Tables[1]
	var slots []uint32
	for i, key := range []string{"old", "fresh", "foreign", "older"} {
		slot, _, err := table.Slot([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot)
		if key == "fresh" {
			continue
		}
		table.U32(colVersion)[slot] = map[string]uint32{"old": 1, "foreign": 9, "older": 1}[key]
		table.SetBytes(colRecord, slot, binary.LittleEndian.AppendUint64(nil, uint64(100+i)))
	}
	in := fourColumns(8)
	in.Columns = in.Columns[:1]
	in.Keys = []uint32{slots[0], slots[1], slots[2], slots[0], slots[3], slots[1], slots[2], slots[3]}
	out := r.Run(in)
	got := array.NewInt64Data(out.Columns[0].Data()).Int64Values()
	want := []int64{202, 2, 204, 208, 4, 210}
	if len(got) != len(want) {
		t.Fatalf("got %v, rejects %v", got, out.Rejects)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v; want %v", got, want)
			break
		}
	}
	if len(out.Rejects) != 2 || out.Rejects[0].Row != 2 || !strings.Contains(out.Rejects[0].Reason, "version 9, which the plugin cannot migrate") {
		t.Errorf("rejects %v", out.Rejects)
	}
	if v, b := table.U32(colVersion)[slots[2]], table.Bytes(colRecord, slots[2]); v != 9 || b[0] != 102 {
		t.Errorf("the foreign state became version %d, %x", v, b)
	}
	if b := table.Bytes(colRecord, slots[0]); string(b[12:]) != "hello" || table.U32(colVersion)[slots[0]] != 2 {
		t.Errorf("the state is %x", b)
	}
}

// TestGrants: clock and randomness belong to the row, and not without a grant.
func TestGrants(t *testing.T) {
	if _, err := host(t).Load(module(t, "granted"), Limits{Grants: []string{"clock"}}); err == nil || !strings.Contains(err.Error(), "random") {
		t.Errorf("without a grant: %v", err)
	}
	p := load(t, module(t, "granted"), Limits{Grants: []string{"clock", "random"}})
	run := func(from, to int) (all [][2]int64) {
		in := fourColumns(to)
		for i := range to {
			in.Offsets[i], in.Received[i] = int64(i), arrow.Timestamp(1_700_000_000_000_000+i)
		}
		in.Rows, in.Offsets, in.Indexes, in.Received = to-from, in.Offsets[from:], in.Indexes[from:], in.Received[from:]
		in.Columns = []arrow.Array{array.NewSlice(in.Columns[0], int64(from), int64(to))}
		out := runner(t, p, RunnerOptions{Seed: 3}).Run(in)
		if out.Rows != to-from {
			t.Fatalf("%d rows, rejects %v", out.Rows, out.Rejects)
		}
		for i := range out.Rows {
			all = append(all, [2]int64{out.Columns[0].(*array.Int64).Value(i), out.Columns[1].(*array.Int64).Value(i)})
		}
		return all
	}
	whole, half := run(0, 10), run(5, 10)
	seen := map[int64]bool{}
	for i, v := range whole {
		if v[0] != int64(1_700_000_000_000_000+i) || seen[v[1]] || i >= 5 && half[i-5] != v {
			t.Errorf("row %d: %v", i, v)
		}
		seen[v[1]] = true
	}
}

// TestManifests: what is wrong with a manifest is told all at once.
func TestManifests(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"name":"a","name":"b"}`, `"name" stands twice`},
		{`{} {}`, "nothing behind it"},
		{`[]`, "one JSON object"},
		{`{"nmae":"x"}`, "manifest: unknown field \"nmae\""},
		{`{"name":x}`, "it is no JSON: invalid character 'x' looking for beginning of value"},
		{`{"abi":"x"}`, "abi cannot be a string"},
		{`{"name":"A","version":"1","abi":2,"kind":"sink"}`, "name is \"A\""},
		{`{"name":"A","version":"1","abi":2,"kind":"sink"}`, "kind is \"sink\""},
		{`{"name":"a","version":"1.0.0","abi":1,"kind":"score","writes":[{"name":"x","type":"bool"}]}`, "one column of type number"},
		{`{"name":"a","version":"1.0.0","abi":1,"kind":"enrich","writes":[{"name":"_x","type":"number"}]}`, "no column _x"},
		{`{"name":"a","version":"1.0.0","abi":1,"kind":"enrich","writes":[{"name":"x","type":"number"}],"state":{"version":0,"columns":[{"name":"b","type":"bytes"}]}}`, "max = 0"},
		{`{"name":"a","version":"1.0.0","abi":1,"kind":"transform","max_rows":5000}`, "max_rows is 5000"},
		{`{"name":"a","version":"1.0.0","abi":1,"kind":"transform","config":[{"name":"x","type":"number","default":"3"}]}`, "it takes a number"},
		{strings.Repeat("[", 70_000), "at most"},
	} {
		if _, err := ParseManifest([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: %v; want %q", c.text, err, c.want)
		}
	}
	m, err := ParseManifest([]byte(`{"name":"a","version":"1.0.0","abi":1,"kind":"transform","config":[{"name":"x","type":"bool"},{"name":"y","type":"json"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	s, problems := m.Settings(map[string]json.RawMessage{"x": json.RawMessage("true"), "y": json.RawMessage(`{"a":1}`), "z": json.RawMessage("1")})
	if s["x"].Number != 1 || s["y"].Text != `{"a":1}` || problems["z"] == "" || len(problems) != 1 {
		t.Errorf("%v %v", s, problems)
	}
}

// TestPool: a module is compiled once for all who hold it, and stays a while.
func TestPool(t *testing.T) {
	pool := NewPool(host(t))
	m := module(t, "over")
	a, releaseA, err := pool.Get(m, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b, releaseB, err := pool.Get(m, Limits{})
	if err != nil || a != b {
		t.Fatal("two plugins of one module", err)
	}
	if _, _, err := pool.Get(m[:50], Limits{}); err == nil {
		t.Error("half a module was loaded")
	}
	for _, release := range []func() error{releaseA, releaseB} {
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxIdle + 1 {
		p, release, err := pool.Get(m, Limits{Deadline: time.Duration(i+1) * time.Second})
		if err != nil || p == a {
			t.Fatal(err)
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
	c, release, err := pool.Get(m, Limits{})
	if err != nil || c == a {
		t.Fatal("what was idle for longest is still there", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}
