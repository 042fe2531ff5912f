package meter

import "fmt"

// maxKept is how many globals are worth being kept; compilers make a handful.
const maxKept = 64

// canSet takes note of a global that code can set.
func (m *Module) canSet(global uint32, typ byte) {
	m.mutable = append(m.mutable, global)
	if typ < F64 || typ > I32 { // a vector is wider than what can be read from outside, a reference names a thing of its instance
		m.hidden = true
	}
}

// hides says whether an instruction changes what is neither memory nor a global: tables, and segments
// that are there until they are dropped.
func hides(i instruction) bool {
	switch i.op {
	case opTableSet:
		return true
	case opBulk:
		return i.sub == bulkDataDrop || i.sub >= bulkTableInit && i.sub != bulkTableSize
	}
	return false
}

// keep names the globals that the rewritten module exports, when they and the memory are all that there is.
func (m *Module) keep() {
	if m.hidden || len(m.mutable) > maxKept {
		return
	}
	m.Kept = []string{}
	for _, g := range m.mutable {
		m.Kept = append(m.Kept, fmt.Sprintf("%sglobal %d", ownPrefix, g))
	}
}
