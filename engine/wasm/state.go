package wasm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tidemill/tidemill/engine/state"
)

// Columns of a plugin's tables.
const (
	colVersion = 0 // of the state; 0: new
	colRecord  = 1
	colLevel   = 0
	colCause   = 1
)

// Tables are the tables that a plugin needs, in the order in which NewRunner
// takes them: how often it failed, and, when it keeps state, that. Names begin
// with prefix, so that a canary can have a copy of its own. All versions of a plugin
// declare the same tables: the version of the state stands with each key.
func (m *Manifest) Tables(prefix string, maxKeys int) []state.Decl {
	decls := []state.Decl{{
		Name: prefix + "failures", Digest: "1 " + m.Name, MaxKeys: 1024, KeysPlanned: 1,
		Columns: []state.Column{{Name: "level", Type: state.I64}, {Name: "cause", Type: state.Bytes}},
	}}
	if m.State != nil {
		decls = append(decls, state.Decl{
			Name: prefix + "state", Digest: "1 " + m.Name, MaxKeys: maxKeys,
			Columns: []state.Column{{Name: "version", Type: state.U32}, {Name: "record", Type: state.Bytes}},
		})
	}
	return decls
}

// A record is the state of one key in its table: the columns in order, numbers as 8 bytes,
// bytes as a u32 length and so many bytes.
//
//	+--------+--------+-----+-----------+
//	| mean   | runs   | 3   | "abc"     |
//	| 8      | 8      | u32 | 3         |
//	+--------+--------+-----+-----------+

// stateView is where a set of state columns stands in a guest's memory.
type stateView struct {
	schema, array uint32
	keys          int
	data          []uint32 // of each column
	lens          []uint32 // of each column of bytes; else 0
}

// state lays columns of state out, for so many keys, all zero.
func (a *arena) state(s *State, keys int) *stateView {
	v := &stateView{keys: keys}
	var schemas []childSchema
	var children []uint32
	for _, c := range s.Columns {
		width, format := 8, "g"
		switch c.Type {
		case "integer":
			format = "l"
		case "bytes":
			width, format = c.Max, fmt.Sprintf("w:%d", c.Max)
		}
		at, b := a.bytes(width * keys)
		clear(b)
		v.data, v.lens = append(v.data, at), append(v.lens, 0)
		schemas = append(schemas, childSchema{c.Name, format, false})
		children = append(children, a.array(keys, 0, []uint32{0, at}, nil))
		if c.Type != "bytes" {
			continue
		}
		at, b = a.bytes(4 * keys)
		clear(b)
		v.lens[len(v.lens)-1] = at
		schemas = append(schemas, childSchema{c.Name + ".len", "I", false})
		children = append(children, a.array(keys, 0, []uint32{0, at}, nil))
	}
	v.schema, v.array = a.structSchema(schemas), a.structArray(keys, children)
	return v
}

// load puts the record of a key into a guest's memory.
func (v *stateView) load(mem []byte, s *State, key int, record []byte) {
	for i, c := range s.Columns {
		if len(record) == 0 {
			return // new: all zero
		}
		if c.Type != "bytes" {
			copy(mem[int(v.data[i])+8*key:][:8], record[:8])
			record = record[8:]
			continue
		}
		n := int(binary.LittleEndian.Uint32(record))
		copy(mem[int(v.data[i])+c.Max*key:][:c.Max], record[4:4+n])
		binary.LittleEndian.PutUint32(mem[int(v.lens[i])+4*key:], uint32(n))
		record = record[4+n:]
	}
}

// store appends the record of a key as the guest left it.
func (v *stateView) store(mem []byte, s *State, key int, to []byte) ([]byte, error) {
	for i, c := range s.Columns {
		if c.Type != "bytes" {
			to = append(to, mem[int(v.data[i])+8*key:][:8]...)
			continue
		}
		n := binary.LittleEndian.Uint32(mem[int(v.lens[i])+4*key:])
		if n > uint32(c.Max) {
			return nil, &failure{fmt.Sprintf("it broke the contract: state %s has %d bytes; at most %d fit", c.Name, n, c.Max)}
		}
		to = binary.LittleEndian.AppendUint32(to, n)
		to = append(to, mem[int(v.data[i])+c.Max*key:][:n]...)
	}
	return to, nil
}

// checkRecord says whether a record that was restored fits the columns of its version.
func (s *State) fits(record []byte) bool {
	for _, c := range s.Columns {
		n := 8
		if c.Type == "bytes" {
			if len(record) < 4 {
				return false
			}
			if n = int(binary.LittleEndian.Uint32(record)); n > c.Max {
				return false
			}
			record = record[4:]
		}
		if len(record) < n {
			return false
		}
		record = record[n:]
	}
	return len(record) == 0
}

// version finds the columns of a version of state; nil when this plugin cannot read it.
func (s *State) version(v uint32) *State {
	if uint32(s.Version) == v {
		return s
	}
	for i := range s.From {
		if uint32(s.From[i].Version) == v {
			return &s.From[i]
		}
	}
	return nil
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
