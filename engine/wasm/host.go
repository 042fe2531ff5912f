package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// Limits bound what a plugin may take. Fields that are 0 have the defaults given here.
type Limits struct {
	MemoryBytes int64         // of linear memory; default 16 MiB, rounded up to pages of 64 KiB
	FuelPerRow  int64         // instructions; default 10,000,000
	InitFuel    int64         // for coming to life; default 1,000,000,000
	Deadline    time.Duration // of one call, by the clock; then Quarantine is called; default 10s
	LogBytes    int           // of log lines that are kept between two ticks; default 16 KiB
	HostCalls   int           // of one call of the guest; default 100,000
	Grants      []string      // "clock", "random"
}

func (l Limits) filled() Limits {
	if l.MemoryBytes <= 0 {
		l.MemoryBytes = 16 << 20
	}
	l.MemoryBytes = min((l.MemoryBytes+pageBytes-1)/pageBytes, 1<<15) * pageBytes
	if l.FuelPerRow <= 0 {
		l.FuelPerRow = 10_000_000
	}
	if l.InitFuel <= 0 {
		l.InitFuel = 1_000_000_000
	}
	if l.Deadline <= 0 {
		l.Deadline = 10 * time.Second
	}
	if l.LogBytes <= 0 {
		l.LogBytes = 16 << 10
	}
	if l.HostCalls <= 0 {
		l.HostCalls = 100_000
	}
	return l
}

const pageBytes = 1 << 16

// Options are what a Host is made with.
type Options struct {
	// CacheDir is a folder of the machine's disk where compiled code is kept
	// between runs; "" keeps it in memory only.
	CacheDir string
	Clock    env.Clock // for deadlines alone
	// Unmetered leaves the fuel out, so that its price can be measured. A guest that loops
	// then loops for ever: never where rows of others wait.
	Unmetered bool
	// Trusting takes refusals for what they are, so that a call alone can be measured: rows that are
	// refused are not tried again in a fresh instance.
	Trusting bool
}

// Host compiles modules, one at a time, and puts the process's collector off meanwhile (garbage.go): a process has one, or
// lets none of them compile while another does. It is safe for concurrent use.
type Host struct {
	clock   env.Clock
	plain   bool // nothing is metered
	trusts  bool // refused rows are not tried again
	cache   wazero.CompilationCache
	compile chan struct{} // one at a time: compiling takes memory and a processor
}

// NewHost makes a host. Close it after its plugins.
func NewHost(o Options) (*Host, error) {
	h := &Host{clock: o.Clock, plain: o.Unmetered, trusts: o.Trusting, cache: wazero.NewCompilationCache(), compile: make(chan struct{}, 1)}
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("folder for compiled plugins: %w", err)
		}
		h.cache = cache
	}
	return h, nil
}

// Close lets go of compiled code.
func (h *Host) Close() error { return h.cache.Close(context.Background()) }

// Plugin is a module that is compiled and ready to make instances. It is safe
// for concurrent use.
type Plugin struct {
	Digest   string
	Manifest *Manifest
	Limits   Limits

	clock    env.Clock
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	memory   *memoryPool
	plain    bool     // it is not metered
	trusts   bool     // refused rows are not tried again
	kept     []string // globals that a fresh instance needs beside its memory; nil: it needs more than those
	starts   bool     // exports _initialize
	inits    bool     // exports tidemill_init
	closing  sync.Once
	spares   spares
}

// Load checks, meters and compiles a module. It takes up to seconds for a large
// one, so it is not called while rows wait. The module is not kept.
func (h *Host) Load(module []byte, l Limits) (*Plugin, error) {
	l = l.filled()
	if len(module) > MaxModuleBytes {
		return nil, fmt.Errorf("the module has %d bytes; at most %d are allowed", len(module), MaxModuleBytes)
	}
	metered, m, err := meter.Rewrite(module, meter.Limits{MemoryPages: uint32(l.MemoryBytes / pageBytes)})
	if err != nil {
		return nil, err
	}
	if h.plain {
		metered = module
	}
	manifest, err := manifestOf(m)
	if err != nil {
		return nil, err
	}
	for _, g := range manifest.Grants {
		if !slices.Contains(l.Grants, g) {
			return nil, fmt.Errorf("the plugin cannot do without %s: write grants = [%q] in its plugin block if it may", g, g)
		}
	}
	p := &Plugin{Digest: Digest(module), Manifest: manifest, Limits: l, clock: h.clock, plain: h.plain, trusts: h.trusts, kept: m.Kept, memory: &memoryPool{}}
	if err := p.checkExports(m); err != nil {
		return nil, err
	}
	h.compile <- struct{}{}
	defer func() { <-h.compile }()
	defer collectLater()()
	ctx := context.Background()
	p.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesExtendedConst).
		WithCompilationCache(h.cache).
		WithMemoryLimitPages(uint32(l.MemoryBytes/pageBytes)).
		WithDebugInfoEnabled(false))
	if err := p.imports(ctx, m); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if p.compiled, err = p.runtime.CompileModule(ctx, metered); err != nil {
		return nil, errors.Join(fmt.Errorf("the module is not valid: %s", firstLine(err)), p.Close())
	}
	return p, nil
}

// Close frees the plugin's code, and instances that wait. Those of runners must be closed before.
func (p *Plugin) Close() (err error) {
	p.closing.Do(func() { err = p.runtime.Close(context.Background()) })
	return err
}

// String names the plugin for messages.
func (p *Plugin) String() string {
	return p.Manifest.Name + " " + p.Manifest.Version + " (" + p.Digest + ")"
}

// Complete tells whether a module exports what its manifest and the ABI ask for, without compiling it.
func Complete(module []byte) error {
	m, err := meter.Read(module, meter.Limits{})
	if err != nil {
		return err
	}
	manifest, err := manifestOf(m)
	if err != nil {
		return err
	}
	return (&Plugin{Manifest: manifest}).checkExports(m)
}

// checkExports finds the functions of the ABI, of the types that they must have.
func (p *Plugin) checkExports(m *meter.Module) error {
	i32 := []byte{meter.I32}
	wanted := []struct {
		name     string
		typ      meter.Type
		required bool
		there    *bool
	}{
		{"tidemill_alloc", meter.Type{Params: i32, Results: i32}, true, nil},
		{"tidemill_run", meter.Type{Params: i32, Results: i32}, true, nil},
		{"tidemill_init", meter.Type{Results: i32}, false, &p.inits},
		{"tidemill_migrate", meter.Type{Params: i32, Results: i32}, p.Manifest.State != nil && len(p.Manifest.State.From) > 0, nil},
		{"_initialize", meter.Type{}, false, &p.starts},
	}
	exports := map[string]meter.Export{}
	for _, e := range m.Exports {
		exports[e.Name] = e
	}
	if e, ok := exports["memory"]; !ok || e.Kind != meter.Memory {
		return errors.New("the module exports no memory named memory")
	}
	for _, w := range wanted {
		e, ok := exports[w.name]
		switch {
		case !ok && w.required:
			return fmt.Errorf("the module does not export the function %s, which sdk/ABI.md asks for", w.name)
		case !ok:
			continue
		case e.Kind != meter.Func:
			return fmt.Errorf("the export %s is a %s; it must be a function", w.name, e.Kind)
		}
		if t := m.Type(e.Index); string(t.Params) != string(w.typ.Params) || string(t.Results) != string(w.typ.Results) {
			return fmt.Errorf("the export %s takes %s and gives %s; it must take %s and give %s",
				w.name, typeText(t.Params), typeText(t.Results), typeText(w.typ.Params), typeText(w.typ.Results))
		}
		if w.there != nil {
			*w.there = true
		}
	}
	return nil
}

func typeText(types []byte) string {
	if len(types) == 0 {
		return "nothing"
	}
	var names []string
	for _, t := range types {
		name := map[byte]string{meter.I32: "i32", meter.I64: "i64", meter.F32: "f32", meter.F64: "f64"}[t]
		if name == "" {
			name = fmt.Sprintf("%#x", t)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
