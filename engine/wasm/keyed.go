package wasm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tidemill/tidemill/engine/state"
)

// stateBatch is the state of the keys of one piece: out of the table, into the
// guest, and back when all went well.
type stateBatch struct {
	table *state.Table // nil: the plugin keeps none
	decl  *State

	slots  []uint32 // of each different key, in order of its first row
	rows   []uint32 // of each row, which of them
	place  []uint32 // of each slot of the table, its place in slots plus one; zero between pieces
	old    uint32   // version of the records that have to be migrated; 0: none
	view   *stateView
	record []byte
	ends   []int
}

// begin finds the keys of rows lo to hi.
func (s *stateBatch) begin(keys []uint32, lo, hi int) error {
	if s.table == nil {
		return nil
	}
	if n := s.table.Slots(); len(s.place) < n {
		s.place = append(s.place, make([]uint32, n-len(s.place))...)
	}
	s.slots, s.rows = s.slots[:0], s.rows[:0]
	for _, slot := range keys[lo:hi] {
		if s.place[slot] == 0 {
			s.slots = append(s.slots, slot)
			s.place[slot] = uint32(len(s.slots))
		}
		s.rows = append(s.rows, s.place[slot]-1)
	}
	for _, slot := range s.slots {
		s.place[slot] = 0
	}
	return s.versions()
}

// versions checks that the guest can read what the table has. A piece with several old versions
// fails, and is halved until there is one.
func (s *stateBatch) versions() error {
	s.old = 0
	for _, slot := range s.slots {
		v := s.table.U32(colVersion)[slot]
		if v == 0 || v == uint32(s.decl.Version) {
			continue
		}
		from := s.decl.version(v)
		if from == nil {
			return &failure{fmt.Sprintf("the state of this row's key has version %d, which the plugin cannot migrate; it has %d", v, s.decl.Version)}
		}
		if s.old != 0 && s.old != v {
			return &failure{fmt.Sprintf("states of versions %d and %d in one batch", s.old, v)}
		}
		s.old = v
	}
	for _, slot := range s.slots {
		v, record := s.table.U32(colVersion)[slot], s.table.Bytes(colRecord, slot)
		if v != 0 && !s.decl.version(v).fits(record) {
			return &failure{fmt.Sprintf("the state of this row's key has other columns than version %d of the plugin's state", v)}
		}
	}
	return nil
}

// lay lays keys and state out.
func (s *stateBatch) lay(a *arena, batch uint32, n int) {
	if s.table == nil {
		return
	}
	at, b := a.bytes(4 * n)
	if b != nil {
		for i, r := range s.rows {
			binary.LittleEndian.PutUint32(b[4*i:], r)
		}
	}
	s.view = a.state(s.decl, len(s.slots))
	a.put32(batch+8, at)
	a.put32(batch+12, s.view.schema)
	a.put32(batch+16, s.view.array)
	if a.mem != nil {
		for key, slot := range s.slots {
			if s.table.U32(colVersion)[slot] == uint32(s.decl.Version) {
				s.view.load(a.mem, s.decl, key, s.table.Bytes(colRecord, slot))
			}
		}
	}
	if s.old == 0 {
		return
	}
	// Room for the batch that migrates: its keys are those of the old version alone.
	more := &arena{at: a.at}
	more.take(batchBytes, bufferAlign)
	more.state(s.decl, len(s.slots))
	more.state(s.decl.version(s.old), len(s.slots))
	if a.mem == nil || more.at > a.top {
		a.mem, a.at = nil, more.at
	}
}

// migrate lets the guest turn records of an old version into new ones, and loads these.
func (s *stateBatch) migrate(i *Instance, a *arena) error {
	if s.table == nil || s.old == 0 {
		return nil
	}
	var keys []int
	for key, slot := range s.slots {
		if s.table.U32(colVersion)[slot] == s.old {
			keys = append(keys, key)
		}
	}
	from := s.decl.version(s.old)
	batch := a.take(batchBytes, bufferAlign)
	old, made := a.state(from, len(keys)), a.state(s.decl, len(keys))
	if a.mem == nil {
		panic("BUG: a batch that migrates is longer than what was counted")
	}
	clear(a.mem[batch : batch+batchBytes])
	for j, v := range []uint32{made.schema, made.array, old.schema, old.array, s.old} {
		a.put32(batch+12+uint32(4*j), v)
	}
	for j, key := range keys {
		old.load(a.mem, from, j, s.table.Bytes(colRecord, s.slots[key]))
	}
	code, err := i.call(i.migrate, batch)
	if err != nil {
		return err
	}
	if code != 0 {
		return &failure{fmt.Sprintf("tidemill_migrate returned %d", int32(code))}
	}
	a.mem = i.view()
	for j, key := range keys {
		if s.record, err = made.store(a.mem, s.decl, j, s.record[:0]); err != nil {
			return err
		}
		s.view.load(a.mem, s.decl, key, s.record)
	}
	return nil
}

// end puts what the guest left into the table. All of it is checked before any of it is kept.
func (s *stateBatch) end(mem []byte) (err error) {
	if s.table == nil {
		return nil
	}
	s.record, s.ends = s.record[:0], s.ends[:0]
	for key := range s.slots {
		if s.record, err = s.view.store(mem, s.decl, key, s.record); err != nil {
			return err
		}
		s.ends = append(s.ends, len(s.record))
	}
	from := 0
	for key, slot := range s.slots {
		record := s.record[from:s.ends[key]]
		from = s.ends[key]
		version := s.table.U32(colVersion)
		if version[slot] == 0 && allZero(record) {
			continue
		}
		if version[slot] != uint32(s.decl.Version) || !bytes.Equal(record, s.table.Bytes(colRecord, slot)) {
			version[slot] = uint32(s.decl.Version)
			s.table.SetBytes(colRecord, slot, record)
		}
	}
	return nil
}
