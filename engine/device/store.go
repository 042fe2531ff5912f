package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
)

// Store is the registry's channel, DATA/devices/registry-N. One process at a time; safe for concurrent use.
type Store struct {
	mu         sync.Mutex
	log        journal.Log
	generation uint64
	devices    map[string]map[string]string
	written    int // records of the channel
}

// compactFrom is from how many records on a channel is compacted.
const compactFrom = 4_096

const whole = "whole"

// Open opens the registry of a data folder and makes it if need be.
func Open(e *env.Env, data string) (*Store, error) {
	dir := path.Join(data, "devices")
	if err := e.FS.MkdirAll(dir); err != nil {
		return nil, err
	}
	generations, err := generations(e, dir)
	if err != nil {
		return nil, err
	}
	for i := len(generations) - 1; i >= 0; i-- {
		s, finished, err := openGeneration(e, dir, generations[i])
		switch {
		case err != nil:
			return nil, fmt.Errorf("registry of devices: %w", err)
		case !finished:
			if err := s.log.Close(); err != nil {
				return nil, err
			}
			continue
		case s.written < compactFrom || s.written < 2*len(s.devices):
			return s, nil
		}
		next, err := create(e, dir, generations[len(generations)-1]+1, s.devices)
		if err = errors.Join(err, s.log.Close()); err != nil {
			return nil, err
		}
		return next, removeAll(e, dir, generations)
	}
	next := uint64(1)
	if n := len(generations); n > 0 {
		next = generations[n-1] + 1
	}
	return create(e, dir, next, map[string]map[string]string{})
}

// removeAll removes channels that another has replaced.
func removeAll(e *env.Env, dir string, generations []uint64) error {
	for _, n := range generations {
		name := path.Join(dir, fmt.Sprintf("registry-%d", n))
		files, err := e.FS.ReadDir(name)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := e.FS.Remove(path.Join(name, f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func generations(e *env.Env, dir string) (out []uint64, err error) {
	entries, err := e.FS.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, x := range entries {
		if digits, ok := strings.CutPrefix(x.Name(), "registry-"); ok {
			if n, err := strconv.ParseUint(digits, 10, 32); err == nil {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func openLog(e *env.Env, dir string, generation uint64) (journal.Log, error) {
	return journal.Open(e, path.Join(dir, fmt.Sprintf("registry-%d", generation)), journal.Options{Partitions: 1, SegmentBytes: 8 << 20})
}

// create makes a channel that begins with these devices.
func create(e *env.Env, dir string, generation uint64, devices map[string]map[string]string) (*Store, error) {
	log, err := openLog(e, dir, generation)
	if err != nil {
		return nil, err
	}
	s := &Store{log: log, generation: generation, devices: map[string]map[string]string{}}
	list := make([]Device, 0, len(devices))
	for _, id := range slices.Sorted(maps.Keys(devices)) {
		list = append(list, Device{ID: id, Attributes: devices[id]})
	}
	err = s.append(e, list)
	if err == nil {
		err = log.Appender().Control(journal.Note, e.Clock.Now().UnixMicro(), []byte(whole))
	}
	if err == nil {
		err = log.Appender().Flush()
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return s, nil
}

func openGeneration(e *env.Env, dir string, generation uint64) (s *Store, finished bool, err error) {
	log, err := openLog(e, dir, generation)
	if err != nil {
		return nil, false, err
	}
	s = &Store{log: log, generation: generation, devices: map[string]map[string]string{}}
	from, _ := log.Bounds(0)
	r, err := log.Read(0, from)
	if err != nil {
		return nil, false, errors.Join(err, log.Close())
	}
	for err == nil {
		var b *journal.Block
		if b, err = r.Next(); b == nil || err != nil {
			break
		}
		switch b.Kind {
		case journal.Note:
			finished = finished || string(b.Control) == whole
		case journal.Records:
			for i := range b.Count {
				if err = s.read(b.Record(i)); err != nil {
					break
				}
			}
		case journal.Lost:
			err = b.Err
		}
		b.Release()
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, false, errors.Join(err, log.Close())
	}
	return s, finished, nil
}

func (s *Store) read(record []byte) error {
	var d Device
	if err := json.Unmarshal(record, &d); err != nil {
		return fmt.Errorf("a record of the registry cannot be read: %w", err)
	}
	s.take(d)
	return nil
}

func (s *Store) take(d Device) {
	s.written++
	if d.Gone {
		delete(s.devices, d.ID)
		return
	}
	s.devices[d.ID] = d.Attributes
}

// append writes devices, and takes them in once they are durable.
func (s *Store) append(e *env.Env, devices []Device) error {
	batch := journal.Batch{}
	now := e.Clock.Now().UnixMicro()
	for _, d := range devices {
		text, err := json.Marshal(d)
		if err != nil {
			panic("BUG: a device is no JSON: " + err.Error())
		}
		batch.Records = append(batch.Records, journal.Record{Payload: text, Received: now})
	}
	if err := s.log.Appender().Append(batch); err != nil {
		return err
	}
	if err := s.log.Appender().Flush(); err != nil {
		return err
	}
	for _, d := range devices {
		s.take(d)
	}
	return nil
}

// Set changes devices: attributes given replace those of the same name, an empty one takes it away; those that
// are not named stay. It returns what the devices are now, durable, and the registry's version.
func (s *Store) Set(e *env.Env, devices []Device) (now []Device, version uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[string]map[string]string{}
	for _, d := range devices {
		if err := d.Check(); err != nil {
			return nil, 0, err
		}
		all, again := fresh[d.ID]
		if !again {
			all = maps.Clone(s.devices[d.ID])
		}
		if all == nil || d.Gone {
			all = map[string]string{}
		}
		for name, value := range d.Attributes {
			if all[name] = value; value == "" {
				delete(all, name)
			}
		}
		fresh[d.ID] = all
		next := Device{ID: d.ID, Attributes: all, Gone: d.Gone}
		if err := next.Check(); err != nil {
			return nil, 0, err
		}
		now = append(now, next)
	}
	if len(s.devices)+len(fresh) > MaxDevices {
		return nil, 0, fmt.Errorf("the registry holds %d devices; at most %d fit", len(s.devices), MaxDevices)
	}
	if err := s.append(e, now); err != nil {
		return nil, 0, err
	}
	return now, s.version(), nil
}

// version rises with every record, and with every compaction.
func (s *Store) version() uint64 {
	_, end := s.log.Bounds(0)
	return s.generation<<40 | end
}

// All lists the devices in order of id, and the registry's version.
func (s *Store) All() ([]Device, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Device, 0, len(s.devices))
	for _, id := range slices.Sorted(maps.Keys(s.devices)) {
		out = append(out, Device{ID: id, Attributes: maps.Clone(s.devices[id])})
	}
	return out, s.version()
}

// Version returns the registry's version, and whether it holds anything.
func (s *Store) Version() (version uint64, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version(), s.written > 0
}

// Close releases files.
func (s *Store) Close() error { return s.log.Close() }
