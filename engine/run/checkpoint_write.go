package run

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"sort"

	"github.com/tidemill/tidemill/engine/env"
)

// draft is a checkpoint that is being made durable, a piece at a time:
//
//	seldom file ─▶ header ─▶ snapshots ... ─▶ checksum, sync ─▶ rename
//
// One snapshot, and a piece of others, is in memory in its encoded form. The tables' snapshots are let go when all is done: they
// may be large. After an error another draft can be made of the same checkpoint's answers.
type draft struct {
	store      *store
	checkpoint *checkpoint
	place      uint64 // of tables that are written seldom
	piece      int    // bytes, about

	next         func() error // nil: it is durable
	file         env.File     // nil: it is not open
	buf          []byte       // borrowed until the end; nil: there is none yet
	sum          uint32
	part, table  int   // of the next snapshot
	size, seldom int64 // bytes written
}

func (s *store) draft(c *checkpoint, place uint64, piece int64) draft {
	return draft{store: s, checkpoint: c, place: place, piece: int(piece)}
}

// begin decides what comes first. A draft must not be copied from then on.
func (d *draft) begin() { d.next = d.aside }

// aside writes tables that are written seldom to their own file.
func (d *draft) aside() (err error) {
	d.next = d.head
	d.seldom, err = d.store.writeSeldom(d.checkpoint, d.place)
	return err
}

// name is what the file is called that nobody looks for yet.
func (d *draft) name() string { return d.store.name(d.checkpoint.Epoch) + ".tmp" }

func (d *draft) head() error {
	parts := d.checkpoint.Parts
	sort.Slice(parts, func(i, j int) bool {
		a, b := &parts[i], &parts[j]
		return a.Channel < b.Channel || a.Channel == b.Channel && a.Partition < b.Partition
	})
	header, err := json.Marshal(d.checkpoint)
	if err != nil {
		return err
	}
	if d.file, err = d.store.env.FS.Open(d.name(), env.Create); err != nil {
		return err
	}
	if err := d.file.Truncate(0); err != nil {
		return err
	}
	d.buf = append(d.buf, checkpointMagic...)
	d.buf = binary.LittleEndian.AppendUint32(d.buf, uint32(len(header)))
	d.buf = append(d.buf, header...)
	d.next = d.fill
	return d.put()
}

// fill writes a piece of the snapshots.
func (d *draft) fill() error {
	for ; d.part < len(d.checkpoint.Parts); d.part, d.table = d.part+1, 0 {
		for p := &d.checkpoint.Parts[d.part]; d.table < len(p.snapshots); {
			if len(d.buf) >= d.piece {
				return d.put()
			}
			if !p.Tables[d.table].Decl.Seldom {
				at := len(d.buf)
				d.buf = p.snapshots[d.table].AppendTo(append(d.buf, 0, 0, 0, 0, 0, 0, 0, 0))
				binary.LittleEndian.PutUint64(d.buf[at:], uint64(len(d.buf)-at-8))
			}
			d.table++
		}
	}
	d.next = d.sync
	return d.put()
}

// put appends what is in the buffer to the file.
func (d *draft) put() error {
	if _, err := d.file.WriteAt(d.buf, d.size); err != nil {
		return err
	}
	d.size += int64(len(d.buf))
	d.sum = crc32.Update(d.sum, castagnoli, d.buf)
	d.buf = d.buf[:0]
	return nil
}

func (d *draft) sync() error {
	d.buf = binary.LittleEndian.AppendUint32(d.buf, d.sum)
	err := d.put()
	if err == nil {
		err = d.file.Sync()
	}
	if e := d.close(); err == nil {
		err = e
	}
	d.next = d.rename
	return err
}

func (d *draft) rename() error {
	s := d.store
	s.env.Point("checkpoint.before-rename")
	if err := s.env.FS.Rename(d.name(), s.name(d.checkpoint.Epoch)); err != nil {
		return err
	}
	if err := s.env.FS.SyncDir(s.dir); err != nil {
		return err
	}
	s.env.Point("checkpoint.after-rename")
	for i := range d.checkpoint.Parts {
		d.checkpoint.Parts[i].snapshots = nil
	}
	d.next = nil
	return nil
}

// abandon gives back the room of what cannot be used: the disk may be full, and others wait for it. It will be written again.
func (d *draft) abandon() {
	_ = d.close()
	_ = d.store.remove(d.name())
}

func (d *draft) close() error {
	f := d.file
	if d.file = nil; f == nil {
		return nil
	}
	return f.Close()
}
