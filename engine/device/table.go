package device

import (
	"encoding/json"

	"github.com/tidemill/tidemill/engine/state"
)

// Table is the registry as a task knows it. One goroutine.
type Table struct {
	T *state.Table
	// Version of the registry that it holds.
	Version uint64
	// Changed rises whenever something has changed, for those who keep what they looked up.
	Changed uint64
	known   map[uint32]map[string]string // by slot, what was asked for
}

// versionKey is the row that holds the version; no device has this name.
const versionKey = "\x00version"

// Decl declares the table of a task.
func Decl() state.Decl {
	return state.Decl{
		Name: "devices", Digest: "1", MaxKeys: MaxDevices + 1, KeysPlanned: 1000,
		Columns: []state.Column{{Name: "version", Type: state.I64}, {Name: "attributes", Type: state.Bytes}},
	}
}

// NewTable returns the registry over a table, which may have been restored.
func NewTable(t *state.Table) *Table {
	r := &Table{T: t, known: map[uint32]map[string]string{}}
	if slot, ok := t.Find([]byte(versionKey)); ok {
		r.Version = uint64(t.I64(0)[slot])
	}
	return r
}

// Apply takes a change in; one of a version that it has already changes nothing.
func (r *Table) Apply(c *Change) {
	if c.Version <= r.Version {
		return
	}
	r.Changed++
	clear(r.known)
	if c.Reset {
		r.T.Range(func(slot uint32) bool {
			r.T.Delete(slot)
			return true
		})
	}
	for _, d := range c.Devices {
		r.put(d)
	}
	if c.More {
		return
	}
	r.Version = c.Version
	if slot, _, err := r.T.Slot([]byte(versionKey)); err == nil {
		r.T.I64(0)[slot] = int64(c.Version)
		r.T.Touch(slot)
	}
}

func (r *Table) put(d Device) {
	if d.Gone {
		if slot, ok := r.T.Find([]byte(d.ID)); ok {
			r.T.Delete(slot)
		}
		return
	}
	slot, _, err := r.T.Slot([]byte(d.ID))
	if err != nil {
		return // the store refuses more devices than fit
	}
	text, err := json.Marshal(d.Attributes)
	if err != nil {
		panic("BUG: attributes are no JSON: " + err.Error())
	}
	r.T.SetBytes(1, slot, text)
}

// Attribute looks an attribute of a device up.
func (r *Table) Attribute(id []byte, name string) (string, bool) {
	if r == nil {
		return "", false
	}
	slot, ok := r.T.Find(id)
	if !ok {
		return "", false
	}
	all, ok := r.known[slot]
	if !ok {
		if err := json.Unmarshal(r.T.Bytes(1, slot), &all); err != nil {
			all = nil // the row of the version; nobody asks for it
		}
		r.known[slot] = all
	}
	value, ok := all[name]
	return value, ok
}
