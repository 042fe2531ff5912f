package meter

import (
	"fmt"
	"slices"
	"strings"
)

// Names of what a rewritten module imports and exports. The characters make a clash with
// a compiler's names unlikely; a module that has them already is refused.
const (
	// MoreModule and MoreName name the import that gives more fuel.
	MoreModule = "tidemill:meter"
	MoreName   = "more"
	// FuelName is the export of the global that holds the fuel that is left.
	FuelName = "tidemill:fuel"

	ownPrefix = "tidemill:" // of all exports that are the host's
)

// Rewrite returns the module with metering inserted. The result shares nothing with
// the original. An error wraps ErrMalformed, or tells of a limit.
func Rewrite(module []byte, limits Limits) ([]byte, *Module, error) {
	m, err := Read(module, limits)
	if err != nil {
		return nil, nil, err
	}
	limits = limits.filled()
	for _, i := range m.Imports {
		if i.Module == MoreModule {
			return nil, nil, fmt.Errorf("%w: it imports %s of %s, which is the host's own", ErrMalformed, i.Name, i.Module)
		}
	}
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, ownPrefix) {
			return nil, nil, fmt.Errorf("%w: it exports %s, which is the host's own", ErrMalformed, e.Name)
		}
	}
	functions, known, err := m.functions(limits)
	if err != nil {
		return nil, nil, err
	}
	m.keep()
	w := &rewriter{read: m, m: m.withMore(functions), limits: limits, functions: functions, known: known}
	return w.write(), m, nil
}

// functions analyses all functions. Those that are paid for by their callers are found first.
func (m *Module) functions(limits Limits) ([]*function, callees, error) {
	list := make([]*function, len(m.Functions))
	unknown := func(uint32) (int64, bool) { return 0, false }
	for i := range list {
		f, err := m.analyse(i, limits, unknown)
		if err != nil {
			return nil, nil, err
		}
		list[i] = f
	}
	work := uint64(0)
	for _, f := range list {
		work += uint64(f.blocks) * uint64(f.blocks+int64(f.locals))
	}
	if work > limits.Work {
		return nil, nil, fmt.Errorf("the module would take too long to compile: its functions have too many blocks and locals (%d; at most %d)", work, limits.Work)
	}
	known := learn(list)
	paid := func(f uint32) (int64, bool) {
		if c := known.of(m, f); c.free {
			return c.total, true
		}
		return 0, false
	}
	again := slices.Clone(list)
	for i, f := range list {
		if !f.calls {
			continue
		}
		g, err := m.analyse(i, limits, paid)
		if err != nil {
			return nil, nil, err
		}
		again[i] = g
	}
	return again, known, nil
}

// withMore is the module with the types that the rewritten code needs.
func (m *Module) withMore(functions []*function) *Module {
	n := *m
	n.Types = append(slices.Clone(m.Types), Type{[]byte{I64}, []byte{I64}})
	for _, f := range functions {
		if len(f.typ.Results) < 2 || slices.ContainsFunc(n.Types, func(t Type) bool { return len(t.Params) == 0 && string(t.Results) == string(f.typ.Results) }) {
			continue
		}
		n.Types = append(n.Types, Type{nil, f.typ.Results})
	}
	return &n
}

// moved is where a function stands behind the new import.
func (m *Module) moved(f uint32) uint32 {
	if f < m.imported[Func] {
		return f
	}
	return f + 1
}

// rewriter puts the sections together.
type rewriter struct {
	read      *Module // as it was read
	m         *Module // with more types
	limits    Limits
	functions []*function
	known     callees
	out       []byte
}

// write writes all sections; those that must be there and are not are made.
func (w *rewriter) write() []byte {
	w.out = append(w.out, "\x00asm\x01\x00\x00\x00"...)
	made := [...]byte{1, 2, 6, 7}
	next := 0
	for _, s := range w.m.sections {
		if s.id != 0 {
			for ; next < len(made) && sectionRank(made[next]) < sectionRank(s.id); next++ {
				w.section(made[next], section{id: made[next], data: []byte{0}})
			}
			if next < len(made) && made[next] == s.id {
				next++
			}
		}
		w.section(s.id, s)
	}
	for ; next < len(made); next++ {
		w.section(made[next], section{id: made[next], data: []byte{0}})
	}
	return w.out
}

func (w *rewriter) section(id byte, s section) {
	data := s.data
	r := &reader{b: s.data, base: s.base}
	switch id {
	case 0:
		if name := r.name(); name == "name" {
			data = append(appendName(nil, "name"), w.read.names(s.data[r.at:], s.base+r.at)...)
		}
	case 1:
		data = w.types()
	case 2:
		more := appendName(appendName(nil, MoreModule), MoreName)
		more = append(more, byte(Func))
		more = appendU32(more, uint32(len(w.read.Types)))
		data = oneMore(s.data, more)
	case 4, 5, 8, 9:
		data = w.read.rewriteSection(id, r, w.limits)
	case 6:
		data = oneMore(w.read.rewriteSection(id, r, w.limits), []byte{I64, 1, opI64Const, 0, opEnd})
	case 7:
		data = w.exports()
	case 10:
		data = w.code()
	}
	if r.err != nil {
		panic("BUG: a section that was read cannot be read again: " + r.err.Error())
	}
	w.out = appendU32(append(w.out, id), uint32(len(data)))
	w.out = append(w.out, data...)
}

// oneMore adds an item to the vector that a section holds.
func oneMore(data, item []byte) []byte {
	r := &reader{b: data}
	n := r.u32()
	return append(append(appendU32(nil, n+1), data[r.at:]...), item...)
}

func (w *rewriter) types() []byte {
	out := appendU32(nil, uint32(len(w.m.Types)))
	for _, t := range w.m.Types {
		out = append(appendU32(append(out, 0x60), uint32(len(t.Params))), t.Params...)
		out = append(appendU32(out, uint32(len(t.Results))), t.Results...)
	}
	return out
}

func (w *rewriter) exports() []byte {
	out := appendU32(nil, uint32(len(w.read.Exports)+len(w.read.Kept))+1)
	for _, e := range w.read.Exports {
		if e.Kind == Func {
			e.Index = w.read.moved(e.Index)
		}
		out = appendU32(append(appendName(out, e.Name), byte(e.Kind)), e.Index)
	}
	for i, name := range w.read.Kept {
		out = appendU32(append(appendName(out, name), byte(Global)), w.read.mutable[i])
	}
	return appendU32(append(appendName(out, FuelName), byte(Global)), w.read.globalCount())
}

func (w *rewriter) code() []byte {
	out := appendU32(nil, uint32(len(w.functions)))
	for i, f := range w.functions {
		e := &emitter{m: w.m, f: f, known: w.known, more: w.read.imported[Func], fuel: w.read.globalCount()}
		body := e.emit(i)
		out = append(appendU32(out, uint32(len(body))), body...)
	}
	return out
}
