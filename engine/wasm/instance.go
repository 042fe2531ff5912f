package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tidemill/tidemill/engine/splitmix"
	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// slice is how much fuel is given out at once: between two slices the garbage
// collector can stop the goroutine, and the clock is looked at.
const slice = 100_000

// Instance is a module with a memory of its own. One goroutine.
type Instance struct {
	plugin   *Plugin
	settings map[string]Setting
	log      func(level int, line []byte)
	overdue  func(took time.Duration) // called once when the deadline has passed
	ctx      context.Context
	module   api.Module
	memory   api.Memory
	fuel     api.MutableGlobal
	alloc    api.Function
	run      api.Function
	migrate  api.Function // nil when there is none
	stack    [1]uint64

	region, room uint32 // what tidemill_alloc gave
	budget       int64  // fuel that is not given out yet
	given        int64  // fuel that was given out in this call
	callsLeft    int
	line         []byte // what was printed and has no end yet
	last         string // why a runtime gave up in this call, as it printed it
	now          int64  // us
	seed         splitmix.Source
	started      time.Time
	late         bool
	dead         bool
	// Used says how often the instance was called since it came to life.
	Used int
}

// failure is how a guest failed: what a reject says.
type failure struct{ cause string }

func (f *failure) Error() string { return f.cause }

// stop ends the guest's call from within a host function.
func (i *Instance) stop(format string, args ...any) {
	panic(&failure{fmt.Sprintf(format, args...)})
}

// open makes an instance and lets it come to life.
func (p *Plugin) open(settings map[string]Setting, log func(int, []byte), overdue func(time.Duration)) (*Instance, error) {
	i, err := p.instantiate(settings, log, overdue)
	if err != nil {
		return nil, err
	}
	if err := i.start(); err != nil {
		i.Close()
		return nil, fmt.Errorf("plugin %s does not start: %w", p, err)
	}
	return i, nil
}

// instantiate makes an instance that has not come to life.
func (p *Plugin) instantiate(settings map[string]Setting, log func(int, []byte), overdue func(time.Duration)) (*Instance, error) {
	i := &Instance{plugin: p, settings: settings, log: log, overdue: overdue}
	i.ctx = context.WithValue(experimental.WithMemoryAllocator(context.Background(), p.memory), instanceKey{}, i)
	i.begin(p.Limits.InitFuel)
	module, err := p.runtime.InstantiateModule(i.ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("plugin %s does not start: %w", p, i.failed(err))
	}
	i.module, i.memory = module, module.ExportedMemory("memory")
	if !p.plain {
		i.fuel = module.ExportedGlobal(meter.FuelName).(api.MutableGlobal)
	}
	i.alloc, i.run = module.ExportedFunction("tidemill_alloc"), module.ExportedFunction("tidemill_run")
	if f := module.ExportedFunction("tidemill_migrate"); f != nil && p.Manifest.State != nil && len(p.Manifest.State.From) > 0 {
		i.migrate = f
	}
	return i, nil
}

func (i *Instance) start() error {
	if i.plugin.starts {
		if _, err := i.module.ExportedFunction("_initialize").Call(i.ctx); err != nil {
			return i.failed(err)
		}
	}
	if i.plugin.inits {
		code, err := i.module.ExportedFunction("tidemill_init").Call(i.ctx)
		if err != nil {
			return i.failed(err)
		}
		if code[0] != 0 {
			return fmt.Errorf("tidemill_init returned %d", int32(code[0]))
		}
	}
	return nil
}

// Close ends the instance. What was read from its memory must not be used any more.
func (i *Instance) Close() {
	i.dead = true
	if i.module != nil {
		_ = i.module.Close(i.ctx) // it has no exit code to tell of
	}
}

// view is the guest's memory as it is now.
func (i *Instance) view() []byte {
	b, ok := i.memory.Read(0, i.memory.Size())
	if !ok {
		panic("BUG: a memory is shorter than it says")
	}
	return b
}

// begin gives a call its limits.
func (i *Instance) begin(fuel int64) {
	i.budget, i.given = fuel, 0
	if i.fuel != nil {
		i.given = min(fuel, slice)
		i.budget -= i.given
		i.fuel.Set(uint64(i.given))
	}
	i.callsLeft, i.last = i.plugin.Limits.HostCalls, ""
	i.started, i.late = i.plugin.clock.Now(), false
}

// moreFuel gives out more fuel, or ends the call. left is less than none.
func (i *Instance) moreFuel(left int64) int64 {
	for left < 0 {
		if i.budget <= 0 {
			i.stop("it used up its fuel of %d", i.given)
		}
		s := min(i.budget, slice)
		i.budget -= s
		i.given += s
		left += s
	}
	i.lookAtClock()
	return left
}

// lookAtClock tells of a call that takes too long. The call goes on: its fuel
// ends it, and time decides nothing that a replay would have to repeat.
func (i *Instance) lookAtClock() {
	if took := i.plugin.clock.Now().Sub(i.started); took > i.plugin.Limits.Deadline && !i.late {
		i.late = true
		if i.overdue != nil {
			i.overdue(took)
		}
	}
}

// used is the fuel that the call has used so far.
func (i *Instance) used() int64 {
	if i.fuel == nil {
		return 0 // nothing is metered
	}
	return i.given - int64(i.fuel.Get())
}

// call calls an export with one argument. After an error the instance is closed.
func (i *Instance) call(f api.Function, arg uint32) (uint32, error) {
	if i.dead {
		panic("BUG: an instance that has failed is called again")
	}
	i.stack[0] = uint64(arg)
	if err := f.CallWithStack(i.ctx, i.stack[:]); err != nil {
		err = i.failed(err)
		i.Close()
		return 0, err
	}
	return uint32(i.stack[0]), nil
}

// failed says in few words how a call ended.
func (i *Instance) failed(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	cause := strings.TrimPrefix(firstLine(err), "wasm error: ")
	return &failure{i.because("it trapped: " + cause)}
}

// because adds to how a call ended what the guest's runtime printed about it.
func (i *Instance) because(how string) string {
	if i.last == "" {
		return how
	}
	return how + ": " + i.last
}

// reserve makes sure that the host's region has so many bytes; false when the guest has no memory for it.
func (i *Instance) reserve(n int) (bool, error) {
	if n <= int(i.room) {
		return true, nil
	}
	if n > 1<<31-1 {
		return false, nil
	}
	want := min(max(n, min(2*int(i.room), n+n/2)), 1<<31-1)
	at, err := i.call(i.alloc, uint32(want))
	if err != nil || at == 0 {
		i.region, i.room = 0, 0
		return false, err
	}
	if at%16 != 0 || uint64(at)+uint64(want) > uint64(i.memory.Size()) {
		i.Close()
		return false, &failure{fmt.Sprintf("tidemill_alloc(%d) returned %d, in a memory of %d", want, at, i.memory.Size())}
	}
	i.region, i.room = at, uint32(want)
	return true, nil
}
