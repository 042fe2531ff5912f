package meter

import (
	"bytes"
	"fmt"
)

// Kind says what an import or an export is.
type Kind byte

const (
	// Func is a function.
	Func Kind = iota
	// Table is a table.
	Table
	// Memory is a linear memory.
	Memory
	// Global is a global.
	Global
	// Tag is a tag of an exception; modules with tags are refused.
	Tag
)

func (k Kind) String() string {
	if k > Tag {
		return fmt.Sprintf("kind %d", byte(k))
	}
	return [...]string{"function", "table", "memory", "global", "tag"}[k]
}

// Value types as the binary format writes them.
const (
	I32 = 0x7f
	I64 = 0x7e
	F32 = 0x7d
	F64 = 0x7c
)

// Type is the type of a function: value types as bytes.
type Type struct{ Params, Results []byte }

// Import is something that a module wants.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32 // of a function: its place among the module's types
}

// Export is something that a module shows.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Custom is a custom section.
type Custom struct {
	Name string
	Data []byte
}

// Module is what was read of a module. It borrows the module's bytes.
type Module struct {
	Types     []Type
	Imports   []Import
	Exports   []Export
	Customs   []Custom
	Functions []uint32 // types of the functions that the module defines
	MemoryMin uint32   // pages of the memory that the module defines
	// Kept are the globals that an instance may change, as the rewritten module exports them. With the memory they are
	// all that an instance remembers; nil where it may remember more (kept.go).
	Kept []string

	sections []section
	imported [Tag + 1]uint32 // how many of each kind
	memories uint32          // defined
	tables   uint32
	globals  uint32
	mutable  []uint32 // those of the globals that can be set
	hidden   bool     // an instance remembers more than its memory and numbers in globals
	bodies   []body
}

// section is a section as it stands.
type section struct {
	id   byte
	data []byte
	base int
}

// body is the code of a function.
type body struct {
	data []byte
	base int
}

// Limits of what is read. Fields that are 0 have these defaults.
type Limits struct {
	Functions     uint32 // 50,000
	FunctionBytes uint32 // 1 MiB
	Locals        uint32 // of a function: 10,000
	Blocks        uint32 // and branches of a function: 10,000; compilers take time by their square
	// Work limits the sum over all functions of blocks * (blocks + locals): 100,000,000. It is what a
	// compiler's time grows with, apart from the size.
	Work        uint64
	MemoryPages uint32 // 65,536; a memory's maximum is lowered to it
	TableItems  uint32 // 1 Mi; a table's maximum is lowered to it
	Tables      uint32 // 16
}

func (l Limits) filled() Limits {
	set := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Functions, 50_000)
	set(&l.FunctionBytes, 1<<20)
	set(&l.Locals, 10_000)
	set(&l.Blocks, 10_000)
	if l.Work == 0 {
		l.Work = 100_000_000
	}
	set(&l.MemoryPages, 1<<16)
	set(&l.TableItems, 1<<20)
	set(&l.Tables, 16)
	return l
}

const (
	maxTypes   = 10_000
	maxImports = 10_000
	maxExports = 10_000
	maxGlobals = 100_000
	maxItems   = 1 << 22 // of all other vectors
)

// Type returns the type of a function by its index, imports first.
func (m *Module) Type(function uint32) Type {
	if function < m.imported[Func] {
		for _, i := range m.Imports {
			if i.Kind != Func {
				continue
			}
			if function == 0 {
				return m.Types[i.Type]
			}
			function--
		}
	}
	return m.Types[m.Functions[function-m.imported[Func]]]
}

func (m *Module) functionCount() uint32 { return m.imported[Func] + uint32(len(m.Functions)) }
func (m *Module) globalCount() uint32   { return m.imported[Global] + m.globals }
func (m *Module) tableCount() uint32    { return m.imported[Table] + m.tables }

// Read takes a module apart. Types of instructions are not checked. Limits' zero
// value has the defaults.
func Read(module []byte, limits Limits) (*Module, error) {
	limits = limits.filled()
	if len(module) < 8 || !bytes.Equal(module[:4], []byte("\x00asm")) {
		return nil, fmt.Errorf("%w: it does not begin with \\0asm", ErrMalformed)
	}
	if !bytes.Equal(module[4:8], []byte{1, 0, 0, 0}) {
		return nil, fmt.Errorf("%w: its version is % x; components are not modules", ErrMalformed, module[4:8])
	}
	m := &Module{}
	r := &reader{b: module, at: 8}
	last := 0
	for r.more() {
		id := r.byte()
		s := r.sub(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		if rank := sectionRank(id); id != 0 {
			if rank <= last {
				s.fail("section %d is out of order or not known", id)
				return nil, s.err
			}
			last = rank
		}
		m.sections = append(m.sections, section{id, s.b, s.base})
		m.section(id, s, limits)
		if s.err == nil && s.at != len(s.b) {
			s.fail("section %d is longer than what it holds", id)
		}
		if s.err != nil {
			return nil, s.err
		}
	}
	for _, c := range m.Customs {
		if c.Name == "name" && m.names(c.Data, 0) == nil {
			r.fail("the section of names is malformed")
		}
	}
	if r.err == nil && len(m.bodies) != len(m.Functions) {
		r.fail("%d functions have %d bodies", len(m.Functions), len(m.bodies))
	}
	return m, r.err
}

// sectionRank is a section's place in a module; 0: no such section, or one that is not offered.
func sectionRank(id byte) int {
	return bytes.IndexByte([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11}, id)
}

func (m *Module) section(id byte, s *reader, limits Limits) {
	switch id {
	case 0:
		name := s.name()
		m.Customs = append(m.Customs, Custom{name, s.b[s.at:]})
		s.at = len(s.b)
	case 1:
		m.readTypes(s)
	case 2:
		m.readImports(s)
	case 3:
		for range s.count("functions", limits.Functions) {
			m.Functions = append(m.Functions, m.typeIndex(s))
		}
	case 4, 5, 6, 8, 9:
		m.rewriteSection(id, s, limits) // reading is rewriting without a use for the result
	case 7:
		m.readExports(s)
	case 10:
		for range s.count("bodies", limits.Functions) {
			n := s.u32()
			if n > limits.FunctionBytes {
				s.fail("a function of %d bytes; at most %d are allowed", n, limits.FunctionBytes)
				return
			}
			at := s.at
			m.bodies = append(m.bodies, body{s.bytes(n), s.base + at})
		}
	case 11:
		// Segments concern nobody here, but whoever compiles the module makes room for as many as are announced.
		if n := s.u32(); uint64(n) > uint64(len(s.b)-s.at) {
			s.fail("%d segments of data are announced in %d bytes", n, len(s.b)-s.at)
			return
		}
		s.at = len(s.b)
	default: // the count of data
		s.at = len(s.b)
	}
}

func (m *Module) typeIndex(s *reader) uint32 {
	t := s.u32()
	if int(t) >= len(m.Types) {
		s.fail("there is no type %d", t)
		return 0
	}
	return t
}

func (m *Module) readTypes(s *reader) {
	for range s.count("types", maxTypes) {
		if form := s.byte(); form != 0x60 {
			s.fail("type form %#x is not offered", form)
			return
		}
		params := s.bytes(s.count("parameters", 1000))
		results := s.bytes(s.count("results", 1000))
		for _, v := range append(bytes.Clone(params), results...) {
			if !isValueType(v) {
				s.fail("value type %#x is not offered", v)
			}
		}
		m.Types = append(m.Types, Type{params, results})
	}
}

func isValueType(v byte) bool { return v >= 0x7b && v <= 0x7f || v == 0x70 || v == 0x6f }

func (m *Module) readImports(s *reader) {
	for range s.count("imports", maxImports) {
		i := Import{Module: s.name(), Name: s.name(), Kind: Kind(s.byte())}
		switch i.Kind {
		case Func:
			i.Type = m.typeIndex(s)
		case Table:
			s.byte()
			readLimits(s)
		case Memory:
			readLimits(s)
		case Global:
			s.byte()
			s.byte()
		default:
			s.fail("an import of kind %d is not offered", byte(i.Kind))
			return
		}
		m.Imports = append(m.Imports, i)
		m.imported[i.Kind]++
	}
}

func (m *Module) readExports(s *reader) {
	seen := map[string]bool{}
	for range s.count("exports", maxExports) {
		e := Export{s.name(), Kind(s.byte()), s.u32()}
		counts := [...]uint32{m.functionCount(), m.tableCount(), m.imported[Memory] + m.memories, m.globalCount()}
		switch {
		case s.err != nil:
			return
		case int(e.Kind) >= len(counts) || e.Index >= counts[e.Kind]:
			s.fail("there is no %s %d to export", e.Kind, e.Index)
		case seen[e.Name]:
			s.fail("two exports are called %q", e.Name)
		}
		seen[e.Name] = true
		m.Exports = append(m.Exports, e)
	}
}

// readLimits reads the limits of a table or a memory.
func readLimits(s *reader) (flag byte, least, most uint32) {
	flag = s.byte()
	if flag > 1 {
		s.fail("limits of form %#x are not offered", flag)
		return
	}
	if least = s.u32(); flag == 1 {
		most = s.u32()
	}
	return flag, least, most
}
