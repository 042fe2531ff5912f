package influx

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

const hourFiles = `
engine {
  checkpoint = "5s"
  tick       = "5s"
}
channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, n = integer, temp = number }
}
ingest "file" "in" {
  to     = channel.c
  path   = "DIR/in.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  sink "file" "out" {
    path = "DIR/out.ndjson"
  }
  sink "influxdb" "hot" {
    url    = "URL"
    bucket = "b"
  }
}
`

// recorder is a server that can be away, and knows the order in which points of a series came.
type recorder struct {
	away     atomic.Bool
	mu       sync.Mutex
	tried    int
	points   int
	last     map[string]int // by series: n of the latest point
	disorder []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tried++; err != nil || r.away.Load() {
		panic(http.ErrAbortHandler)
	}
	for line := range strings.Lines(string(body)) {
		series, rest, _ := strings.Cut(line, " ")
		_, text, _ := strings.Cut(rest, "n=")
		var n int
		fmt.Sscanf(text, "%di", &n)
		if was, known := r.last[series]; known && n != was+1 {
			r.disorder = append(r.disorder, fmt.Sprintf("%s: %d after %d", series, n, was))
		}
		r.last[series] = n
		r.points++
	}
	w.WriteHeader(http.StatusNoContent)
}

// count is how many points have come.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.points
}

// away is an engine that is fed a little in every step.
type away struct {
	t       *testing.T
	machine *env.Sim
	engine  *run.Engine
	file    *os.File
	fed     int
}

// A step is five seconds of virtual time.
const (
	fleetSize = 100
	aStep     = 100 // records
	anHour    = 720 // steps
)

// openAway opens an engine whose clock is simulated and whose files are real, so that what is on
// disk is not in memory.
func openAway(t *testing.T, url string) *away {
	a := &away{t: t, machine: env.NewSim(1)}
	dir, e := t.TempDir(), *a.machine.Env()
	e.FS = env.Real().FS
	must(t, os.Mkdir(dir+"/conf", 0o755))
	must(t, os.WriteFile(dir+"/conf/p.hcl", []byte(strings.NewReplacer("URL", url, "DIR", dir).Replace(hourFiles)), 0o644))
	var err error
	a.file, err = os.Create(dir + "/in.ndjson")
	must(t, err)
	t.Cleanup(func() { must(t, a.file.Close()) })
	c, diags := config.Load(&e, dir+"/conf", config.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a.engine, err = run.Open(p, run.Options{Env: &e, Data: dir + "/data", Specs: stages.Builtin()})
	must(t, err)
	return a
}

// step feeds a step's records, lets everything move that can, and lets the time pass.
func (a *away) step() {
	var text bytes.Buffer
	for range aStep {
		fmt.Fprintf(&text, `{"device":"d%d","ts":%q,"n":%d,"temp":%d.5}`+"\n", a.fed%fleetSize,
			a.machine.Env().Clock.Now().UTC().Format(time.RFC3339Nano), a.fed/fleetSize, a.fed%40)
		a.fed++
	}
	_, err := a.file.Write(text.Bytes())
	must(a.t, err)
	for range 10 {
		for moved := true; moved; {
			moved = false
			for _, actor := range a.engine.Actors() {
				m, err := actor.Step()
				must(a.t, err)
				moved = moved || m
			}
		}
		a.machine.Advance(500 * time.Millisecond)
	}
}

// lines counts the rows that the file sink has written, committed or not.
func (a *away) lines() int64 {
	for _, s := range a.engine.Status().Sinks {
		if strings.HasSuffix(s.Address, ".out") {
			return s.Rows
		}
	}
	return -1
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAnHourAway lets the server be away for an hour of virtual time while records go on coming:
// nobody else is slower by anything, memory stays, nothing is lost, points of a series come in
// order, and the hour is made up for in a fraction of it.
func TestAnHourAway(t *testing.T) {
	r := &recorder{last: map[string]int{}}
	server := httptest.NewServer(r)
	defer server.Close()
	server.Config.ErrorLog = nil
	a := openAway(t, server.URL)
	defer func() { must(t, a.engine.Close()) }()
	behind := func() int64 { return int64(a.fed) - a.lines() }
	usual := int64(0)
	for range 12 {
		a.step()
		usual = max(usual, behind())
	}
	if r.points == 0 || usual > 3*aStep {
		t.Fatalf("%d points before, the file is %d rows behind", r.points, usual)
	}
	r.away.Store(true)
	var early uint64
	for s := range anHour {
		a.step()
		if b := behind(); b > usual {
			t.Fatalf("step %d: the file is %d rows behind, %d when the server was there", s, b, usual)
		}
		if s == anHour/3 { // the journals keep their latest megabytes in memory, which are there by now
			early = heap()
		}
	}
	grown := int64(heap()) - int64(early)
	if grown > 48<<20 { // the journals keep blocks for the next ones, up to a limit, which fills meanwhile

		t.Errorf("the heap has grown by %d bytes in 40 minutes", grown)
	}
	tried, before := r.tried, r.points
	if tried > anHour {
		t.Errorf("the server was tried %d times in an hour", tried)
	}
	r.away.Store(false)
	began, steps := time.Now(), 0
	for ; r.points < a.fed-3*aStep; steps++ {
		if steps > anHour/5 {
			t.Fatalf("after %d steps %d of %d points are there", steps, r.points, a.fed)
		}
		a.step()
	}
	if len(r.disorder) > 0 {
		t.Errorf("out of order, or missing, or twice: %d, such as %s", len(r.disorder), r.disorder[0])
	}
	t.Logf("%d rows waited; %d tries while the server was away; caught up within %d virtual seconds, %v of real time; heap %+d bytes", a.fed-before, tried, 5*steps, time.Since(began), grown)
}
