package rollout

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/wasm"
)

const partitions = 4

const manifest = `{"name": "probe", "version": "%d.0.0", "abi": 1, "kind": "enrich", "passes": true,
 "reads": [{"name": "temp", "type": "number", "required": true}],
 "writes": [{"name": "ver", "type": "number"}, {"name": "seen", "type": "integer"}],
 "state": {"version": 1, "columns": [{"name": "runs", "type": "integer"}]}}`

const text = `engine { checkpoint = "200ms" }
channel "c" {
  key        = device
  partitions = 4
  schema     = { device = string, seq = integer, temp = number }
}
plugin "probe" { source = "v1.wasm" }
fleet "lab" { where = registry.site == "lab" }
fleet "field" { where = registry.site != "lab" }
pipeline "p" {
  from = channel.c
  transform "wasm" "probe" { plugin = plugin.probe }
  sink "file" "out" {
    from = transform.probe
    path = "out.ndjson"
  }
  sink "file" "rejects" { path = "rejects.ndjson" }
  rejects = sink.rejects
}
`

// world is a folder with a configuration, modules and data.
type world struct {
	t       testing.TB
	dir     string
	digests map[int]string
	record  func(r *reader, b *journal.Block, i int) // what must come out of a record
}

func newWorld(t testing.TB, dir, ingest string) *world {
	w := worldOf(t, dir, text+ingest, "v", manifest)
	w.record = func(r *reader, b *journal.Block, i int) { r.row(b.Record(i)) }
	return w
}

// worldOf makes a folder with a configuration and the modules of a guest's three versions.
func worldOf(t testing.TB, dir, config, guest, manifest string) *world {
	w := &world{t: t, dir: dir, digests: map[int]string{}}
	w.write("p.hcl", config)
	for v := 1; v <= 3; v++ {
		code, err := os.ReadFile(fmt.Sprintf("testdata/%s%d.wasm", guest, v))
		w.must(err)
		module, err := wasm.Attach(code, fmt.Appendf(nil, manifest, v))
		w.must(err)
		w.digests[v] = wasm.Digest(module)
		w.write(fmt.Sprintf("v%d.wasm", v), string(module))
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(name, content string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Dir(filepath.Join(w.dir, name)), 0o755))
	w.must(os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644))
}

func (w *world) data() string { return filepath.Join(w.dir, "data") }

// open opens the engine, with all modules pushed.
func (w *world) open(stopAtEnd bool) *run.Engine {
	w.t.Helper()
	c, diags := config.Load(env.Real(), w.dir, config.Options{})
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	w.must(os.MkdirAll(w.data(), 0o755))
	e, err := run.Open(p, run.Options{Env: env.Real(), Data: w.data(), Specs: stages.Builtin(), StopAtEnd: stopAtEnd})
	w.must(err)
	for v := 2; v <= 3; v++ {
		module, err := os.ReadFile(filepath.Join(w.dir, fmt.Sprintf("v%d.wasm", v)))
		w.must(err)
		_, _, err = e.Modules().Put(module)
		w.must(err)
	}
	return e
}

// lines are the rows of a file, as "device seq ver seen"; of rejects "device seq rejected".
func (w *world) lines(name string) []string {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(content)) {
		var r struct {
			Device    string
			Seq       int64
			Ver, Seen float64
			Row       json.RawMessage
		}
		w.must(json.Unmarshal([]byte(line), &r))
		if r.Row != nil {
			raw := r.Row
			if raw[0] == '"' {
				var inner string
				w.must(json.Unmarshal(raw, &inner))
				raw = json.RawMessage(inner)
			}
			w.must(json.Unmarshal(raw, &r))
			out = append(out, fmt.Sprintf("%s %d rejected", r.Device, r.Seq))
			continue
		}
		out = append(out, fmt.Sprintf("%s %d %v %v", r.Device, r.Seq, r.Ver, r.Seen))
	}
	return out
}

// reader is what a partition knows while its journal is read a second time.
type reader struct {
	w       *world
	version map[string]int // by digest
	book    *rollout.Book
	sites   map[string]string
	stable  map[string]int64
	trials  map[uint64]map[string]int64
	swaps   int
	out     []string
}

// expected reads the journal and says what must have come out of it.
func (w *world) expected() (rows []string, swaps int) {
	w.t.Helper()
	log, err := journal.Open(env.Real(), filepath.Join(w.data(), "journal", "c"), journal.Options{Partitions: partitions})
	w.must(err)
	defer log.Close()
	for p := range partitions {
		r := &reader{w: w, version: map[string]int{}, book: &rollout.Book{}, sites: map[string]string{}, stable: map[string]int64{}, trials: map[uint64]map[string]int64{}}
		for v, d := range w.digests {
			r.version[d] = v
		}
		from, _ := log.Bounds(p)
		in, err := log.Read(p, from)
		w.must(err)
		for {
			b, err := in.Next()
			w.must(err)
			if b == nil {
				break
			}
			switch b.Kind {
			case journal.Note:
				r.note(b.Control)
			case journal.Records:
				for i := range b.Count {
					w.record(r, b, i)
				}
			}
			b.Release()
		}
		w.must(in.Close())
		rows, swaps = append(rows, r.out...), swaps+r.swaps
	}
	sort.Strings(rows)
	return rows, swaps
}

func (r *reader) note(body []byte) {
	if device.IsChange(body) {
		c, err := device.ParseChange(body)
		r.w.must(err)
		for _, d := range c.Devices {
			r.sites[d.ID] = d.Attributes["site"]
		}
		return
	}
	next, err := rollout.Parse(body)
	r.w.must(err)
	if next.Seq <= r.book.Seq {
		return
	}
	r.swaps++
	for _, was := range r.book.Rollouts {
		now := next.Rollout(was.Name)
		if was.Trial == nil || now != nil && now.Trial != nil && now.Trial.N == was.Trial.N {
			continue
		}
		if now != nil && now.Promoted == was.Trial.N {
			for d, n := range r.trials[was.Trial.N] {
				r.stable[d] = n
			}
		}
		delete(r.trials, was.Trial.N)
	}
	r.book = next
}

// assigned says which version a device's rows get now, and in which trial; 0: in none.
func (r *reader) assigned(device, site string) (version int, trial uint64) {
	version = 1
	for _, x := range r.book.Rollouts {
		if x.Fleet == "lab" && site != "lab" || x.Fleet == "field" && (site == "lab" || site == "") {
			continue
		}
		if x.Stable != "" {
			version = r.version[x.Stable]
		}
		if t := x.Trial; t != nil && !t.Shadow && rollout.Chosen(x.Name, []byte(device), t.Share) {
			return r.version[t.Canary], t.N
		}
		break
	}
	return version, 0
}

// row says what the version of its time made of a row.
func (r *reader) row(record []byte) {
	var in struct {
		Device string
		Seq    int64
		Temp   float64
	}
	r.w.must(json.Unmarshal(record, &in))
	version, trial := r.assigned(in.Device, r.sites[in.Device])
	state := r.stable
	if trial != 0 {
		if r.trials[trial] == nil {
			r.trials[trial] = map[string]int64{}
		}
		state = r.trials[trial]
		if _, ok := state[in.Device]; !ok {
			state[in.Device] = r.stable[in.Device]
		}
	}
	if version == 2 && in.Temp == 555 {
		r.out = append(r.out, fmt.Sprintf("%s %d rejected", in.Device, in.Seq))
		return
	}
	state[in.Device]++
	r.out = append(r.out, fmt.Sprintf("%s %d %d %d", in.Device, in.Seq, version, state[in.Device]))
}

// compare compares what came out with what must have.
func (w *world) compare() (swaps int) {
	w.t.Helper()
	want, swaps := w.expected()
	w.same(want, append(w.lines("out.ndjson"), w.lines("rejects.ndjson")...))
	return swaps
}

// same compares rows in any order.
func (w *world) same(want, got []string) {
	w.t.Helper()
	sort.Strings(got)
	if len(want) == 0 {
		w.t.Fatal("the journal holds no rows")
	}
	wrong := 0
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got) || i >= len(want) || got[i] != want[i]:
			if wrong++; wrong < 4 {
				w.t.Errorf("row %d of %d: got %q, want %q", i, len(want), at(got, i), at(want, i))
			}
		}
	}
	if len(got) != len(want) || wrong > 0 {
		w.t.Fatalf("%d rows came out, %d went in; %d differ", len(got), len(want), wrong)
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}
