package run

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"sort"

	"github.com/tidemill/tidemill/engine/env"
)

// write makes a checkpoint durable and returns its size, bytes. The tables'
// snapshots are let go when it has: they may be large. After an error the
// same checkpoint can be written again.
func (s *store) write(c *checkpoint) (int64, error) {
	sort.Slice(c.Parts, func(i, j int) bool {
		a, b := &c.Parts[i], &c.Parts[j]
		return a.Channel < b.Channel || a.Channel == b.Channel && a.Partition < b.Partition
	})
	name := s.name(c.Epoch)
	size, err := s.fill(name+".tmp", c)
	if err != nil {
		return 0, err
	}
	s.env.Point("checkpoint.before-rename")
	if err := s.env.FS.Rename(name+".tmp", name); err != nil {
		return 0, err
	}
	if err := s.env.FS.SyncDir(s.dir); err != nil {
		return 0, err
	}
	s.env.Point("checkpoint.after-rename")
	for i := range c.Parts {
		c.Parts[i].snapshots = nil
	}
	return size, nil
}

// fill writes and syncs the file under a name that nobody looks for yet.
func (s *store) fill(name string, c *checkpoint) (int64, error) {
	f, err := s.env.FS.Open(name, env.Create)
	if err != nil {
		return 0, err
	}
	w := &summer{file: f}
	err = f.Truncate(0)
	if err == nil {
		err = w.checkpoint(c)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return w.at, err
}

// summer appends to a file and keeps the checksum of what it has written. One
// snapshot at a time is in memory in its encoded form.
type summer struct {
	file env.File
	at   int64
	sum  uint32
}

func (w *summer) put(b []byte) error {
	if _, err := w.file.WriteAt(b, w.at); err != nil {
		return err
	}
	w.at += int64(len(b))
	w.sum = crc32.Update(w.sum, castagnoli, b)
	return nil
}

func (w *summer) checkpoint(c *checkpoint) error {
	header, err := json.Marshal(c)
	if err != nil {
		return err
	}
	buf := append([]byte(checkpointMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(buf[8:], uint32(len(header)))
	if err := w.put(append(buf, header...)); err != nil {
		return err
	}
	for i := range c.Parts {
		for j, snap := range c.Parts[i].snapshots {
			if c.Parts[i].Tables[j].Decl.Seldom {
				continue
			}
			buf = snap.AppendTo(append(buf[:0], 0, 0, 0, 0, 0, 0, 0, 0))
			binary.LittleEndian.PutUint64(buf, uint64(len(buf)-8))
			if err := w.put(buf); err != nil {
				return err
			}
		}
	}
	return w.put(binary.LittleEndian.AppendUint32(nil, w.sum))
}
