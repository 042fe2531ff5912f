package run_test

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stage"
)

// lab is a simulated machine with a configuration, inputs and a data folder;
// every byte of every batch is accounted for.
type lab struct {
	t       *testing.T
	machine *env.Sim
	memory  *memory.CheckedAllocator
	far     *far
	engine  *run.Engine
	more    []stage.Spec // beside those built in
	reports []string
	mu      sync.Mutex
	room    int  // keys that stages have room for; 0: as usual
	shared  bool // actors may move under goroutines
}

// TestMain lets the garbage of many short runs lie until there is much of it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(512 << 20)
	os.Exit(m.Run())
}

// newLab makes a lab whose actors the test itself moves, one after another.
func newLab(t *testing.T) *lab {
	t.Helper()
	alone(t)
	l := newSharedLab(t)
	l.shared = false
	return l
}

// alone skips a test of one goroutine where the race detector looks on: it has no race to find there, and makes
// such a test ten times as slow.
func alone(t *testing.T) {
	t.Helper()
	if run.RaceDetector {
		t.Skip("one goroutine")
	}
}

// newSharedLab makes a lab for goroutines.
func newSharedLab(t *testing.T) *lab {
	return &lab{t: t, shared: true, machine: env.NewSim(1), memory: memory.NewCheckedAllocator(memory.DefaultAllocator), far: &far{rows: map[string]int{}}}
}

// write puts a file on the machine's disk.
func (l *lab) write(name, content string) {
	l.t.Helper()
	fsys := l.machine.Env().FS
	l.must(fsys.MkdirAll(name[:strings.LastIndex(name, "/")]))
	f, err := fsys.Open(name, env.Create)
	l.must(err)
	l.must(f.Truncate(0))
	_, err = f.WriteAt([]byte(content), 0)
	l.must(err)
	l.must(f.Sync())
	l.must(f.Close())
}

func (l *lab) must(err error) {
	if err != nil { // Helper costs more than a step does
		l.t.Helper()
		l.t.Fatal(err)
	}
}

func (l *lab) plan(text string) *plan.Plan {
	l.t.Helper()
	l.write("/conf/p.hcl", text)
	c, diags := config.Load(l.machine.Env(), "/conf", config.Options{})
	if diags.HasErrors() {
		l.t.Fatal(diags)
	}
	p, diags := plan.Build(c, l.specs(), nil)
	if diags.HasErrors() {
		l.t.Fatal(diags)
	}
	return p
}

func (l *lab) specs() []stage.Spec {
	specs := append(append(builtin(), l.far.spec()), l.more...)
	for i, s := range specs {
		if args := s.Args; l.room > 0 && (s.Kind == "alarm" || s.Kind == "anomaly" || s.Kind == "window") {
			specs[i].Args = func() stage.Args { return &roomFor{of: args(), keys: l.room} }
		}
	}
	return specs
}

// open starts a process on the machine.
func (l *lab) open(text string, stopAtEnd bool) *run.Engine {
	l.t.Helper()
	return l.openPlan(l.plan(text), stopAtEnd)
}

func (l *lab) openPlan(p *plan.Plan, stopAtEnd bool) *run.Engine {
	l.t.Helper()
	e, err := run.Open(p, run.Options{Env: l.machine.Env(), Data: "/data", Specs: l.specs(),
		StopAtEnd: stopAtEnd, BlockBytes: 1 << 10, SegmentBytes: 64 << 10, PieceBytes: 1 << 10, Alloc: l.memory, Report: l.report})
	l.must(err)
	l.engine = e
	return e
}

func (l *lab) report(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, line)
}

// reported tells whether a report holds the text.
func (l *lab) reported(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.reports, "\n"), text)
}

// steps lets the actors move in turn until done.
func (l *lab) steps(done func() bool) {
	l.t.Helper()
	for range 200_000 {
		if done() {
			return
		}
		moved := false
		for _, a := range l.engine.Actors() {
			m, err := a.Step()
			if errors.Is(err, run.ErrSwap) {
				_ = l.engine.Swap() // whoever asked is told
				moved = true
				break
			}
			l.must(err)
			moved = moved || m
		}
		if !moved {
			l.machine.Advance(5 * time.Millisecond)
		}
	}
	l.t.Fatalf("stuck; reports:\n%s", strings.Join(l.reports, "\n"))
}

// close ends the process and finds what it has not given back.
func (l *lab) close() {
	l.t.Helper()
	l.must(l.engine.Close())
	l.memory.AssertSize(l.t, 0)
	if l.far.open != 0 {
		l.t.Errorf("%d sinks were not closed", l.far.open)
	}
}

// complete runs a configuration to its end.
func (l *lab) complete(text string) run.Status {
	l.t.Helper()
	e := l.open(text, true)
	l.steps(e.Done)
	s := e.Status()
	l.close()
	return s
}

// swap goes over to another configuration.
func (l *lab) swap(text string) error {
	l.t.Helper()
	done := l.engine.Request(l.plan(text))
	var err error
	l.steps(func() bool {
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	return err
}

// settle steps until nothing has come out for a while.
func (l *lab) settle() {
	l.t.Helper()
	end := l.machine.Env().Clock.Now().Add(2 * time.Second)
	l.steps(func() bool { return l.machine.Env().Clock.Now().After(end) })
}

// lines returns a file's lines, sorted; none when there is no file.
func (l *lab) lines(name string) []string {
	l.t.Helper()
	f, err := l.machine.Env().FS.Open(name, env.ReadOnly)
	if err != nil {
		return nil
	}
	info, err := f.Stat()
	l.must(err)
	buf := make([]byte, info.Size())
	if len(buf) == 0 {
		return nil
	}
	_, err = f.ReadAt(buf, 0)
	l.must(err)
	out := strings.Split(strings.TrimSuffix(string(buf), "\n"), "\n")
	sort.Strings(out)
	return out
}

func (l *lab) totals() run.PartitionStatus {
	s := l.engine.Status()
	return s.Totals()
}

// goroutines runs the engine under goroutines while the machine's clock runs
// on a thousand times too fast. The result gets what Run returns.
func (l *lab) goroutines(ctx context.Context) <-chan error {
	l.t.Helper()
	if !l.shared {
		l.t.Fatal("make the lab with newSharedLab, so that the race detector sees it")
	}
	ran := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ran <- l.engine.Run(ctx)
	}()
	go func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Microsecond):
				l.machine.Advance(20 * time.Millisecond)
			}
		}
	}()
	return ran
}

// wait waits for a run to end.
func (l *lab) wait(ran <-chan error) error {
	l.t.Helper()
	select {
	case err := <-ran:
		return err
	case <-time.After(2 * time.Minute):
		l.t.Fatal("the run does not end")
		return nil
	}
}

// until waits for something that the run brings about.
func (l *lab) until(what string, is func() bool) {
	l.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("not in two minutes: %s", what)
		}
	}
}

// far is a sink that stands for a server: it reads a spool, or is
// transactional with kind = "exact"; it can fail, or never answer.
type far struct {
	mu       sync.Mutex
	rows     map[string]int
	buffered []string // written and not prepared: lost in a crash
	open     int
	fail     error
	unready  error // of Prepare
	hang     bool
}

type farArgs struct {
	far   *far
	Exact bool   `hcl:"exact,optional"`
	Label string `hcl:"label,optional"` // if any, another one does not make another sink
}

type farSink struct{ *far }

func (f *far) spec() stage.Spec {
	return stage.Spec{Kind: "sink", Type: "far", Help: "A server.", Args: func() stage.Args { return &farArgs{far: f} }}
}

func (a *farArgs) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	b := stage.Bound{Delivery: stage.AtLeastOnce, OpenSink: func(stage.Opening) (stage.Sink, error) {
		a.far.mu.Lock()
		defer a.far.mu.Unlock()
		a.far.open++
		return farSink{a.far}, nil
	}}
	if a.Label != "" {
		b.Identity = "far"
	}
	if a.Exact {
		b.Delivery = stage.Transactional
	}
	return b, nil
}

func (f farSink) Write(ctx context.Context, _ int, rows arrow.RecordBatch) error {
	for f.hangs() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	e := flow.NewJSONEncoder(rows.Schema(), false)
	for i := range int(rows.NumRows()) {
		f.buffered = append(f.buffered, string(e.AppendRow(nil, rows, i)))
	}
	return nil
}

func (f farSink) Prepare(context.Context, uint64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unready != nil {
		return nil, f.unready
	}
	for _, row := range f.buffered {
		f.rows[row]++
	}
	f.buffered = nil
	return []byte{1}, nil
}

func (f farSink) Commit(context.Context, []byte) error { return nil }

func (f farSink) Recover(context.Context, []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buffered = nil
	return f.fail
}

func (f farSink) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	f.buffered = nil
	return nil
}

func (f *far) hangs() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hang
}

// set changes how the server behaves.
func (f *far) set(fail error, hang bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.hang = fail, hang
}

// count is how many different rows the server has.
func (f *far) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.rows)
}
