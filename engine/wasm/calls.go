package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/engine/wasm/meter"
)

const (
	hostModule = "tidemill"
	wasiModule = "wasi_snapshot_preview1"
	// enosys is WASI's "function not supported".
	enosys = 52
	ebadf  = 8
)

// call is a function that guests can import.
type call struct {
	name            string
	params, results []api.ValueType
	wanted          string // what the manifest has to list; "" for WASI
	do              func(i *Instance, stack []uint64)
}

// hostCalls are the functions of the module tidemill, in order of name.
func hostCalls() []call {
	i32, i64, f64 := api.ValueTypeI32, api.ValueTypeI64, api.ValueTypeF64
	return []call{
		{"config_number", []api.ValueType{i32, i32}, []api.ValueType{f64}, "config", (*Instance).configNumber},
		{"config_text", []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}, "config", (*Instance).configText},
		{"fail", []api.ValueType{i32, i32}, nil, "fail", (*Instance).failCall},
		{"log", []api.ValueType{i32, i32, i32}, nil, "log", (*Instance).logCall},
		{"now", nil, []api.ValueType{i64}, "clock", (*Instance).nowCall},
		{"random", []api.ValueType{i32, i32}, nil, "random", (*Instance).randomCall},
	}
}

// wasiCalls are the functions of WASI that do something; all others that a module imports return ENOSYS.
func wasiCalls() []call {
	return []call{
		{name: "fd_write", do: (*Instance).fdWrite},
		{name: "clock_time_get", do: (*Instance).clockTimeGet},
		{name: "random_get", do: (*Instance).randomGet},
		{name: "proc_exit", do: (*Instance).procExit},
		{name: "poll_oneoff", do: (*Instance).pollOneoff},
		{name: "sched_yield", do: func(_ *Instance, stack []uint64) { stack[0] = 0 }},
		{name: "args_get", do: func(_ *Instance, stack []uint64) { stack[0] = 0 }},
		{name: "args_sizes_get", do: (*Instance).noneThere},
		{name: "environ_get", do: func(_ *Instance, stack []uint64) { stack[0] = 0 }},
		{name: "environ_sizes_get", do: (*Instance).noneThere},
		{name: "fd_prestat_get", do: func(_ *Instance, stack []uint64) { stack[0] = ebadf }},
	}
}

// instanceKey finds the calling instance in a context.
type instanceKey struct{}

// imports offers the module what it imports, and nothing else.
func (p *Plugin) imports(ctx context.Context, m *meter.Module) error {
	more := func(ctx context.Context, stack []uint64) {
		i := ctx.Value(instanceKey{}).(*Instance)
		stack[0] = uint64(i.moreFuel(int64(stack[0])))
	}
	i64 := []api.ValueType{api.ValueTypeI64}
	_, err := p.runtime.NewHostModuleBuilder(meter.MoreModule).NewFunctionBuilder().WithGoFunction(api.GoFunc(more), i64, i64).Export(meter.MoreName).Instantiate(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, module := range []string{hostModule, wasiModule} {
		b := p.runtime.NewHostModuleBuilder(module)
		done, any := map[string]bool{}, false
		for _, i := range m.Imports {
			if i.Module != module || done[i.Name] {
				continue
			}
			done[i.Name], any = true, true
			c, err := p.offered(i, m)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			b.NewFunctionBuilder().WithGoModuleFunction(goFunction(c), c.params, c.results).Export(i.Name)
		}
		if any && len(problems) == 0 {
			if _, err := b.Instantiate(ctx); err != nil {
				return err
			}
		}
	}
	for _, i := range m.Imports {
		if i.Module != hostModule && i.Module != wasiModule {
			problems = append(problems, fmt.Errorf("the module imports the %s %s of %s; modules may import functions of %s and %s", i.Kind, i.Name, i.Module, hostModule, wasiModule))
		}
	}
	return errors.Join(problems[:min(len(problems), 10)]...)
}

func goFunction(c call) api.GoModuleFunc {
	return api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
		i := ctx.Value(instanceKey{}).(*Instance)
		if i.memory == nil {
			i.memory = m.Memory() // the start function runs before there is a module
		}
		if i.callsLeft--; i.callsLeft < 0 {
			i.stop("it made more than %d host calls in one batch", i.plugin.Limits.HostCalls)
		}
		c.do(i, stack)
	})
}

// offered finds what stands behind an import, or says that nothing does.
func (p *Plugin) offered(i meter.Import, m *meter.Module) (call, error) {
	if i.Kind != meter.Func {
		return call{}, fmt.Errorf("the module imports the %s %s of %s; only functions can be imported", i.Kind, i.Name, i.Module)
	}
	t := m.Types[i.Type]
	if i.Module == wasiModule {
		c := call{name: i.Name, params: t.Params, results: t.Results, do: func(_ *Instance, stack []uint64) { stack[0] = enosys }}
		at := slices.IndexFunc(wasiCalls(), func(c call) bool { return c.name == i.Name })
		if at >= 0 {
			c.do = wasiCalls()[at].do
		}
		if want := wasiType(i.Name); want != nil && string(t.Params) != string(want) || i.Name != "proc_exit" && string(t.Results) != string(api.ValueTypeI32) {
			return call{}, fmt.Errorf("the import %s of %s has another type than WASI gives it", i.Name, i.Module)
		}
		return c, nil
	}
	for _, c := range hostCalls() {
		if c.name != i.Name {
			continue
		}
		if string(c.params) != string(t.Params) || string(c.results) != string(t.Results) {
			return call{}, fmt.Errorf("the import %s of %s takes %s and gives %s; it must take %s and give %s",
				i.Name, i.Module, typeText(t.Params), typeText(t.Results), typeText(c.params), typeText(c.results))
		}
		if !slices.Contains(p.Manifest.Calls, c.wanted) {
			return call{}, fmt.Errorf("the module imports %s of %s, and its manifest does not list it: \"calls\": [%q]", i.Name, i.Module, c.wanted)
		}
		if (c.wanted == "clock" || c.wanted == "random") && !slices.Contains(p.Limits.Grants, c.wanted) {
			return call{}, fmt.Errorf("the module imports %s of %s: write grants = [%q] in its plugin block if it may", i.Name, i.Module, c.wanted)
		}
		return c, nil
	}
	var names []string
	for _, c := range hostCalls() {
		names = append(names, c.name)
	}
	return call{}, fmt.Errorf("the module imports %s of %s; there is %s", i.Name, i.Module, strings.Join(names, ", "))
}

// wasiType is what the functions that do something take; nil for all others.
func wasiType(name string) []byte {
	i32, i64 := byte(meter.I32), byte(meter.I64)
	return map[string][]byte{
		"fd_write": {i32, i32, i32, i32}, "clock_time_get": {i32, i64, i32}, "random_get": {i32, i32}, "proc_exit": {i32}, "poll_oneoff": {i32, i32, i32, i32},
		"args_get": {i32, i32}, "args_sizes_get": {i32, i32}, "environ_get": {i32, i32}, "environ_sizes_get": {i32, i32},
	}[name]
}

// span returns bytes of the guest's memory, or ends the call. They are good
// until the guest runs again.
func (i *Instance) span(at, n uint64) []byte {
	at, n = at&0xffffffff, n&0xffffffff
	mem := i.view()
	if at+n > uint64(len(mem)) {
		i.stop("it gave the host %d bytes at %d of a memory of %d", n, at, len(mem))
	}
	return mem[at : at+n : at+n]
}

const (
	maxLogLine = 1024
	maxReason  = 500
)

// clip makes a text valid and short enough.
func clip(b []byte, most int) string {
	if len(b) > most {
		b = b[:most]
		for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		if len(b) > 0 && b[len(b)-1] >= utf8.RuneSelf {
			b = b[:len(b)-1]
		}
	}
	return strings.ToValidUTF8(string(b), "?")
}

func (i *Instance) configNumber(stack []uint64) {
	s, ok := i.settings[string(i.span(stack[0], stack[1]))]
	if !ok {
		stack[0] = nanBits
		return
	}
	stack[0] = api.EncodeF64(s.Number)
}

const nanBits = 0x7ff8000000000000

func (i *Instance) configText(stack []uint64) {
	s, ok := i.settings[string(i.span(stack[0], stack[1]))]
	to := i.span(stack[2], stack[3])
	if !ok {
		stack[0] = uint64(^uint32(0))
		return
	}
	copy(to, s.Text)
	stack[0] = uint64(len(s.Text))
}

func (i *Instance) failCall(stack []uint64) {
	i.stop("%s", clip(i.span(stack[0], stack[1]), maxReason))
}

func (i *Instance) logCall(stack []uint64) {
	i.log(int(min(uint32(stack[0]), 3)), i.span(stack[1], stack[2]))
}

func (i *Instance) nowCall(stack []uint64) { stack[0] = uint64(i.now) }

func (i *Instance) randomCall(stack []uint64) { i.random(i.span(stack[0], stack[1])) }

// random fills b with the sequence that follows from the seed. It is no secret.
func (i *Instance) random(b []byte) {
	var word [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(word[:], i.seed.Next())
		b = b[copy(b, word[:]):]
	}
}

// fdWrite takes what a runtime prints, such as the reason of a Go panic, as log lines.
func (i *Instance) fdWrite(stack []uint64) {
	fd, count := uint32(stack[0]), stack[2]&0xffffffff
	if fd != 1 && fd != 2 {
		stack[0] = ebadf
		return
	}
	if count > 1024 {
		i.stop("it writes %d pieces at once", count)
	}
	list, total := i.span(stack[1], count*8), uint64(0)
	for ; len(list) > 0; list = list[8:] {
		n := uint64(binary.LittleEndian.Uint32(list[4:]))
		total += n
		i.print(i.span(uint64(binary.LittleEndian.Uint32(list)), n))
	}
	binary.LittleEndian.PutUint32(i.span(stack[3], 4), uint32(total))
	stack[0] = 0
}

// print gathers text into lines.
func (i *Instance) print(b []byte) {
	for _, c := range b {
		if c == '\n' {
			i.log(2, i.line)
			if i.last == "" && (bytes.HasPrefix(i.line, []byte("panic: ")) || bytes.HasPrefix(i.line, []byte("fatal error: "))) {
				i.last = clip(i.line, maxReason) // as Go's runtime begins its last words
			}
			i.line = i.line[:0]
		} else if len(i.line) <= maxLogLine {
			i.line = append(i.line, c)
		}
	}
}

func (i *Instance) clockTimeGet(stack []uint64) {
	ns := uint64(i.now) * 1000
	if !slices.Contains(i.plugin.granted(), "clock") {
		ns = 1_000_000_000 // runtimes refuse a clock that stands at zero
	}
	binary.LittleEndian.PutUint64(i.span(stack[2], 8), max(ns, 1))
	stack[0] = 0
}

func (i *Instance) randomGet(stack []uint64) {
	i.random(i.span(stack[0], stack[1]))
	stack[0] = 0
}

// Sizes and places in what poll_oneoff reads and writes:
//
//	subscription  userdata 8 | type 1, 7 unused | 32 more
//	event         userdata 8 | errno 2 | type 1, 5 unused | 16 more
const (
	pollClock    = 0
	subscription = 48
	pollEvent    = 32
)

// pollOneoff sleeps, which takes no time here: whatever clock is waited for has come. Go's runtime waits a
// moment before it says why it panics, and says nothing where it cannot. There is no file to wait for.
func (i *Instance) pollOneoff(stack []uint64) {
	count := stack[2] & 0xffffffff
	if count > 1024 {
		i.stop("it waits for %d things at once", count)
	}
	in, out := i.span(stack[0], count*subscription), i.span(stack[1], count*pollEvent)
	for ; len(in) > 0; in, out = in[subscription:], out[pollEvent:] {
		user, kind := binary.LittleEndian.Uint64(in), in[8]
		clear(out[:pollEvent])
		binary.LittleEndian.PutUint64(out, user)
		if kind != pollClock {
			binary.LittleEndian.PutUint16(out[8:], ebadf)
		}
		out[10] = kind
	}
	binary.LittleEndian.PutUint32(i.span(stack[3], 4), uint32(count))
	stack[0] = 0
}

func (i *Instance) procExit(stack []uint64) {
	i.stop("%s", i.because(fmt.Sprintf("it exited with code %d", uint32(stack[0]))))
}

func (i *Instance) noneThere(stack []uint64) {
	binary.LittleEndian.PutUint32(i.span(stack[0], 4), 0)
	binary.LittleEndian.PutUint32(i.span(stack[1], 4), 0)
	stack[0] = 0
}
