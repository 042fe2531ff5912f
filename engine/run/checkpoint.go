package run

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// A checkpoint file is named by its epoch, in sixteen hexadecimal digits:
//
//	+--------+---------+------------------+--------------------+-----+----------+
//	| magic  | length  | header, JSON     | length | snapshot  | ... | CRC32C   |
//	| 8 bytes| u32     | (see checkpoint) | u64    | (state)   |     | u32      |
//	+--------+---------+------------------+--------------------+-----+----------+
//
// The CRC covers everything before it. A file is complete or it is not there:
// it is written under another name, synced and renamed. The snapshots of an
// epoch hold what changed since the epoch before; Chain lists the epochs that
// are needed before this one, the first of which is full.
const checkpointMagic = "TIDECKP1"

// checkpoint is the header of a checkpoint file.
type checkpoint struct {
	Epoch  uint64            `json:"epoch"`
	Chain  []uint64          `json:"chain,omitempty"`
	Plan   string            `json:"plan"`   // digest
	Config string            `json:"config"` // digest of the files
	Tokens map[string][]byte `json:"tokens"` // by sink key; those of sinks that are gone are kept
	// Delivered is, by spool, the offset before which everything has been delivered.
	Delivered map[string]uint64 `json:"delivered,omitempty"`
	// Nodes are the digests of what ran, by address: plan tells from them what has changed.
	Nodes map[string]plan.HeldNode `json:"nodes,omitempty"`
	Parts []partState              `json:"parts"`
	// Seldom are the files of tables that are written seldom, oldest first (seldom.go).
	Seldom []segment `json:"seldom,omitempty"`

	before *checkpoint // what it is a delta to, without snapshots, while its file stays; nil: it is whole, or not the last one
}

// partState is the state of one partition's task.
type partState struct {
	Channel   string       `json:"channel"`
	Partition int          `json:"partition"`
	Next      uint64       `json:"next"`
	Ended     bool         `json:"ended,omitempty"`
	Tick      int64        `json:"tick,omitempty"`
	Label     int64        `json:"label,omitempty"`
	Lanes     []laneState  `json:"lanes,omitempty"` // of a channel that pipelines feed; Next counts its rows then
	Fields    []fieldState `json:"fields,omitempty"`
	Idle      bool         `json:"idle,omitempty"` // no task reads the partition: there are no tables
	Tables    []tableState `json:"tables"`

	snapshots  []*state.Snapshot
	seldomSize int64  // bytes in use of tables that are written seldom
	oldest     uint64 // place of them; 0: none
}

// tableState names a table; its snapshot stands in the file in the same order, or elsewhere, if it is written seldom.
type tableState struct {
	Key   string     `json:"key"` // see tableKey
	Decl  state.Decl `json:"decl"`
	Since uint64     `json:"since,omitempty"` // of one that is written seldom: the first epoch that has it
}

func (p *partState) add(d state.Decl, address string, s *state.Snapshot) {
	p.Tables = append(p.Tables, tableState{Key: tableKey(address, d), Decl: d})
	p.snapshots = append(p.snapshots, s)
}

func (p *partState) id() string { return partID(p.Channel, p.Partition) }

func partID(channel string, part int) string { return channel + "/" + strconv.Itoa(part) }

// idle is what is kept of a partition that no task reads any more: where a
// pipeline that reads it again goes on, so that no row comes twice.
func (p *partState) idle() partState {
	return partState{Channel: p.Channel, Partition: p.Partition, Next: p.Next, Ended: p.Ended, Tick: p.Tick, Label: p.Label, Lanes: p.Lanes, Fields: p.Fields, Idle: true, Tables: []tableState{}}
}

// idleParts are the partitions that no task reads, by id.
func (c *checkpoint) idleParts() map[string]*restored {
	out := map[string]*restored{}
	for i := range c.Parts {
		if p := &c.Parts[i]; p.Idle {
			out[p.id()] = &restored{state: *p, tables: map[string]*state.Table{}}
		}
	}
	return out
}

// restored is a partition's state brought back from a chain of checkpoints.
type restored struct {
	state  partState
	tables map[string]*state.Table
	since  map[string]uint64 // of those that are written seldom
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// store keeps checkpoint files in a folder.
type store struct {
	env *env.Env
	dir string
}

// openStore opens the checkpoints in a folder. One that a killed process had renamed, and no more, is durable before anybody goes on from it:
// the logs let go of what it covers.
func openStore(e *env.Env, dir string) (*store, error) {
	if err := e.FS.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := e.FS.SyncDir(dir); err != nil {
		return nil, err
	}
	return &store{e, dir}, nil
}

func (s *store) name(epoch uint64) string {
	return path.Join(s.dir, fmt.Sprintf("%016x.checkpoint", epoch))
}

// epochs lists the epochs of the files that are there, newest first.
func (s *store) epochs() ([]uint64, error) {
	entries, err := s.env.FS.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), ".checkpoint")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(hex, 16, 64); err == nil {
			out = append(out, n)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i] > out[j] })
	return out, nil
}

// restore reads a checkpoint and what it is a delta to. What is wrong with the files is a damage.
func (s *store) restore(epoch uint64) (*checkpoint, map[string]*restored, error) {
	last, err := s.read(epoch)
	if err != nil {
		return nil, nil, err
	}
	chain := make([]*checkpoint, 0, len(last.Chain)+1)
	for _, e := range last.Chain {
		c, err := s.read(e)
		if err != nil {
			return nil, nil, err
		}
		chain = append(chain, c)
	}
	chain = append(chain, last)
	out := map[string]*restored{}
	for i := range last.Parts {
		p := &last.Parts[i]
		r := &restored{state: *p, tables: map[string]*state.Table{}, since: map[string]uint64{}}
		for _, t := range p.Tables {
			if t.Decl.Seldom {
				r.tables[t.Key], r.since[t.Key] = state.New(t.Decl), t.Since
				r.tables[t.Key].Since(t.Since)
				continue
			}
			table, err := state.Restore(t.Decl, snapshotsOf(chain, p.id(), t.Key)...)
			if err != nil {
				return nil, nil, damaged("%s of %s: %w", t.Decl.Name, p.id(), err)
			}
			r.tables[t.Key] = table
		}
		out[p.id()] = r
	}
	if n := len(chain) - 1; n > 0 {
		last.before = chain[n-1]
		for i := range last.before.Parts {
			last.before.Parts[i].snapshots = nil
		}
	}
	return last, out, s.restoreSeldom(last, out)
}

// snapshotsOf gathers one table's snapshots along a chain.
func snapshotsOf(chain []*checkpoint, part, key string) []*state.Snapshot {
	var out []*state.Snapshot
	for _, c := range chain {
		for i := range c.Parts {
			if c.Parts[i].id() != part {
				continue
			}
			for j, t := range c.Parts[i].Tables {
				if t.Key == key {
					out = append(out, c.Parts[i].snapshots[j])
				}
			}
		}
	}
	return out
}

// read reads and checks one file.
func (s *store) read(epoch uint64) (*checkpoint, error) {
	buf, err := env.ReadWhole(s.env.FS, s.name(epoch), env.AnySize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged("%w", err)
	}
	if err != nil {
		return nil, err
	}
	const least = len(checkpointMagic) + 4 + 4
	if len(buf) < least || string(buf[:7]) != checkpointMagic[:7] {
		return nil, damaged("%s is not a checkpoint", s.name(epoch))
	}
	if string(buf[:8]) != checkpointMagic {
		return nil, fmt.Errorf("%s is of format %q, and this version reads %q", s.name(epoch), buf[:8], checkpointMagic)
	}
	body := buf[:len(buf)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(buf[len(body):]) {
		return nil, damaged("%s is damaged: its checksum does not fit", s.name(epoch))
	}
	n := int(binary.LittleEndian.Uint32(body[8:]))
	if n > len(body)-12 {
		return nil, damaged("%s is damaged: its header is longer than the file", s.name(epoch))
	}
	c := &checkpoint{}
	if err := json.Unmarshal(body[12:12+n], c); err != nil {
		return nil, damaged("%s: %w", s.name(epoch), err)
	}
	return c, c.readSnapshots(body[12+n:])
}

func (c *checkpoint) readSnapshots(rest []byte) error {
	for i := range c.Parts {
		p := &c.Parts[i]
		for _, t := range p.Tables {
			if t.Decl.Seldom {
				p.snapshots = append(p.snapshots, nil)
				continue
			}
			if len(rest) < 8 || binary.LittleEndian.Uint64(rest) > uint64(len(rest)-8) {
				return damaged("checkpoint %d is damaged: a table is cut short", c.Epoch)
			}
			n := binary.LittleEndian.Uint64(rest)
			snap, err := state.DecodeSnapshot(rest[8 : 8+n])
			if err != nil {
				return damaged("checkpoint %d: %w", c.Epoch, err)
			}
			p.snapshots = append(p.snapshots, snap)
			rest = rest[8+n:]
		}
	}
	return nil
}

// forget removes files that neither the newest checkpoint nor its chain needs, of which the one before it is the latest.
func (s *store) forget(c, before *checkpoint) error {
	keep := map[uint64]bool{c.Epoch: true}
	for _, e := range c.Chain {
		keep[e] = true
	}
	epochs, err := s.epochs()
	if err != nil {
		return err
	}
	for _, e := range epochs {
		if e < c.Epoch && !keep[e] {
			if err := s.remove(s.name(e)); err != nil {
				return err
			}
		}
	}
	entries, err := s.env.FS.ReadDir(s.dir)
	if err != nil {
		return err
	}
	return s.forgetSeldom(c, before, entries)
}

// remove removes a file, if it is there.
func (s *store) remove(name string) error {
	if err := s.env.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
