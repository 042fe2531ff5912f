package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
)

// world is one simulated machine, and what a seed does to it.
type world struct {
	seed    uint64
	rng     *rand.Rand
	machine *env.Sim
	binder  *binder
	config  string // the text on the machine's disk that runs, or is to run
	runs    *plan.Plan
	asked   *plan.Plan // to run; refused while another is
	far     *farSink
	calm    bool  // nothing goes wrong
	brisk   bool  // time goes on while there is work, so that records come between ticks
	block   int   // journal's block size
	segment int64 // size of its files, and of others that are begun anew; 0: as they are outside
	rot     rot
	soon    soon
	next    string // the configuration that a swap brings; "": the same again
	log     []string
	did     deeds
}

// deeds counts what was done to a machine.
type deeds struct {
	crashes int // the process died, at a named point or after so many steps
	points  int // of crashes: at a named point
	cuts    int // a life ended with a power cut
	kills   int // and without
	swaps   int // asked for
	through int // and made
	faults  int // of the disk, armed
	rots    int // damaged checkpoints
	falls   int // a kill and, soon after, a power cut
	rows    int // came out in the end
	extras  int // stages beside those that every seed has
}

func (d *deeds) add(o deeds) {
	d.crashes, d.points, d.cuts, d.kills = d.crashes+o.crashes, d.points+o.points, d.cuts+o.cuts, d.kills+o.kills
	d.swaps, d.through, d.faults, d.rots = d.swaps+o.swaps, d.through+o.through, d.faults+o.faults, d.rots+o.rots
	d.rows, d.extras, d.falls = d.rows+o.rows, d.extras+o.extras, d.falls+o.falls
}

const (
	dataDir = "/data"
	outDir  = "/out"
	// mostSteps bounds a run: one that needs more is stuck.
	mostSteps = 400_000
)

func newWorld(seed uint64, calm bool) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 77)), machine: env.NewSim(seed), calm: calm, far: &farSink{}, binder: newBinder()}
	w.rot, w.soon = newRot(seed, calm), newSoon(seed, calm)
	w.block = 1 << 10 << w.rng.IntN(6)
	if w.rng.IntN(2) == 0 {
		w.segment = int64(w.block) << w.rng.IntN(4)
	}
	w.brisk = w.rng.IntN(3) == 0 // what is looked after now and then comes between any two steps
	if calm {
		w.block, w.segment, w.brisk = 0, 0, false
	}
	w.far.fails = func(rows int) int {
		if calm || w.rng.IntN(4) > 0 {
			return -1
		}
		return w.rng.IntN(rows)
	}
	return w
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// write puts a file on the machine's disk, durably.
func (w *world) write(name string, content []byte) {
	fsys := w.machine.Env().FS
	dir := name[:strings.LastIndex(name, "/")]
	must(fsys.MkdirAll(dir))
	f, err := fsys.Open(name, env.Create)
	must(err)
	must(f.Truncate(0))
	_, err = f.WriteAt(content, 0)
	must(err)
	must(f.Sync())
	must(f.Close())
	must(fsys.SyncDir(dir))
	must(fsys.SyncDir("/"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// load gives the plan of the configuration on the machine's disk.
func (w *world) load() (*plan.Plan, error) {
	w.binder.far.sink = w.far
	return w.binder.plan(w.config, w.runs)
}

// drive runs the engine to its end through everything the seed has in store.
func (w *world) drive() error {
	budget := mostSteps
	for life := 0; ; life++ {
		w.fall(&budget)
		done, err := w.life(&budget)
		if done {
			return nil
		}
		if budget <= 0 {
			return fmt.Errorf("stuck after %d lives (last error: %v)", life, err)
		}
		w.note("life %d ended: %v", life, err)
		w.machine.Heal()
		w.machine.SetDisk(0)
		if w.rng.IntN(2) == 0 {
			w.did.kills++
			w.machine.Kill()
		} else {
			w.did.cuts++
			w.machine.Crash(w.rng.Uint64())
		}
	}
}

// life is one process from start to death, or to the end of the work.
func (w *world) life(budget *int) (done bool, err error) {
	w.rotten()
	w.arm()
	return w.process(budget)
}

// process is a life that goes wrong as it is armed.
func (w *world) process(budget *int) (done bool, err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if e, ok := r.(error); ok && errors.Is(e, env.ErrCrashed) {
			done, err = false, e
			return
		}
		panic(r)
	}()
	w.runs, w.asked = nil, nil
	w.binder.again()
	*budget -= 100 // a life that ends at once costs something too
	p, err := w.load()
	if err != nil {
		return false, err
	}
	w.runs = p
	e, err := run.Open(p, run.Options{Env: w.machine.Env(), Data: dataDir, Specs: w.binder.specs, StopAtEnd: true, BlockBytes: w.block, PieceBytes: int64(w.block), SegmentBytes: w.segment,
		Report: func(line string) { w.note("%s", line) }})
	if err != nil {
		return false, err
	}
	err = w.steps(e, budget)
	done = err == nil && e.Done()
	if closeErr := e.Close(); done && closeErr != nil {
		return false, closeErr
	}
	return done, err
}

// arm decides when this life goes wrong.
func (w *world) arm() {
	if w.calm || w.did.crashes+w.did.faults > 6 {
		w.machine.OnPoint(nil)
		return
	}
	switch w.rng.IntN(4) {
	case 0: // a crash at the n-th time a named point is passed
		left := 1 + w.rng.IntN(60)
		w.machine.OnPoint(func(name string) {
			if left--; left == 0 {
				w.did.crashes++
				w.did.points++
				w.note("crash at %s", name)
				panic(env.ErrCrashed)
			}
		})
		return
	case 1: // an operation of the disk fails, or takes the machine down
		ops := []env.Op{env.OpWrite, env.OpSync, env.OpRename, env.OpOpen, env.OpSyncDir}
		f := env.Fault{Op: ops[w.rng.IntN(len(ops))], After: w.rng.IntN(120), Err: syscall.EIO, Crash: w.rng.IntN(2) == 0}
		if f.Op == env.OpWrite && w.rng.IntN(2) == 0 {
			f.Err, f.Times = syscall.ENOSPC, 1+w.rng.IntN(5)
		}
		w.did.faults++
		w.machine.Fail(f)
	}
	w.machine.OnPoint(nil)
}

// steps lets the seed decide who moves.
func (w *world) steps(e *run.Engine, budget *int) error {
	idle := 0
	until := -1
	if !w.calm && w.did.crashes < 5 && w.rng.IntN(2) > 0 {
		until = w.rng.IntN(900)
	}
	if w.soon.falling {
		until = w.rng.IntN(2000)
	}
	actors := e.Actors()
	for n := 0; !e.Done(); n++ {
		if *budget--; *budget <= 0 {
			return errors.New("out of steps")
		}
		if n == until {
			w.did.crashes++
			w.note("death after %d steps", n)
			return env.ErrCrashed
		}
		if !w.calm && w.did.swaps < 3 && w.rng.IntN(800) == 0 {
			w.requestSwap(e)
		}
		if w.brisk && w.rng.IntN(len(actors)) == 0 { // faster, and ticks would come sooner than all can take them
			w.machine.Advance(time.Duration(w.rng.IntN(8)) * time.Millisecond)
		}
		moved, err := actors[w.rng.IntN(len(actors))].Step()
		if errors.Is(err, run.ErrSwap) {
			if err := e.Swap(); err != nil {
				return fmt.Errorf("swap: %w", err)
			}
			w.runs = w.asked
			w.did.through++
			actors, moved, err = e.Actors(), true, nil
		}
		if err != nil {
			return err
		}
		if moved {
			idle = 0
		} else if idle++; idle > 2*len(actors) {
			w.machine.Advance(time.Duration(1+w.rng.IntN(200)) * time.Millisecond)
			idle = 0
		}
	}
	return nil
}

// requestSwap exchanges the graph for one of the same meaning: the text has
// changed, every stage is opened anew, tables and sinks are handed over.
func (w *world) requestSwap(e *run.Engine) {
	if w.next != "" {
		w.config, w.next = w.next, ""
	}
	p, err := w.load()
	if err != nil {
		return
	}
	w.did.swaps++
	w.note("swap")
	select {
	case <-e.Request(p): // another is on its way
	default:
		w.asked = p
	}
}

// outcome is what came out, as sorted lines by sink.
func (w *world) outcome() map[string][]string {
	fsys := w.machine.Env().FS
	w.machine.Heal()
	out := map[string][]string{}
	entries, err := fsys.ReadDir(outDir)
	must(err)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".ndjson") {
			continue
		}
		lines := w.lines(outDir + "/" + name)
		sort.Strings(lines)
		out[name] = lines
	}
	out["far"] = w.far.rows()
	return out
}

func (w *world) lines(name string) []string {
	f, err := w.machine.Env().FS.Open(name, env.ReadOnly)
	must(err)
	info, err := f.Stat()
	must(err)
	buf := make([]byte, info.Size())
	if len(buf) > 0 {
		_, err = f.ReadAt(buf, 0)
		must(err)
	}
	var lines []string
	for _, l := range bytes.Split(bytes.TrimSuffix(buf, []byte("\n")), []byte("\n")) {
		lines = append(lines, stripPlace(string(l)))
	}
	return lines
}

// stripNulls takes out members that are null: in a learned schema, whether a
// column is null or not there yet depends on where a block ends, and means the same.
var stripNulls = strings.NewReplacer(nullMembers()...)

func nullMembers() []string {
	var out []string
	for _, quote := range []string{`"`, `\"`} {
		for _, name := range []string{"ts", "temp", "door", "more0", "more1", "more2"} {
			out = append(out, ","+quote+name+quote+":null", "")
		}
		out = append(out, ","+quote+"extra"+quote+":{"+quote+"a"+quote+":null}", "")
	}
	return out
}

// stripPlace takes out what may differ between equal runs: where in the journal
// a reject stood, and when it came.
func stripPlace(line string) string {
	for _, key := range []string{`"offset":`, `"received":`} {
		at := strings.Index(line, key)
		if at < 0 {
			continue
		}
		end := strings.IndexAny(line[at:], ",}")
		line = line[:at] + line[at+end:]
	}
	if !strings.Contains(line, "null") {
		return line
	}
	return stripNulls.Replace(line)
}
