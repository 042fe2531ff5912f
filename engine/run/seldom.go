package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
)

// Deltas of tables that are written seldom (state.Decl.Seldom) stand in files of their own, beside the checkpoints, so that no
// full checkpoint writes all of their slots again. A file is named by the epoch that began it, and later ones go on in it:
//
//	+--------+--------+-----------+-------------------------------------------------------------+-----+
//	| length | CRC32C | epoch     | u32 length and text: partition, table | snapshot (state)    | ... |
//	| u64    | u32    | u64       |                                       |                     |     |
//	+--------+--------+-----------+-------------------------------------------------------------+-----+
//
// Length and CRC are of what follows, up to the next record. A checkpoint tells which files it needs and how much of the last one; what
// is behind that is of a checkpoint that never was, and is written over. A file is needed as long as some slot has its newest copy there. When the files have more than
// twice what is in use, slots in the oldest are written again, as many bytes as are new, so that it comes free. It goes one checkpoint later.
type segment struct {
	Epoch uint64 `json:"epoch"`
	Bytes int64  `json:"bytes"`
}

const (
	seldomMost  = 64 << 20  // bytes of a file after which another is begun
	seldomClean = 256 << 10 // bytes of a table that are written again with a checkpoint, at least
)

func (s *store) seldomName(epoch uint64) string {
	return path.Join(s.dir, fmt.Sprintf("%016x.seldom", epoch))
}

// places decides where a checkpoint writes tables that are written seldom, and whether it makes the oldest place free.
func (c *coordinator) places(req *request) {
	most, total := int64(seldomMost), int64(0)
	if n := c.engine.o.SegmentBytes; n > 0 {
		most = n
	}
	for _, s := range c.last.Seldom {
		total += s.Bytes
	}
	req.place = req.epoch
	if n := len(c.last.Seldom); n > 0 {
		if last := c.last.Seldom[n-1]; last.Bytes < most {
			req.place = last.Epoch
		}
		if total > 2*c.seldomSize+most {
			req.clean = c.last.Seldom[0].Epoch
		}
	}
}

// snapshot adds a table to a partition's state.
func (p *partState) snapshot(address string, t *state.Table, req *request) {
	d := t.Decl()
	if !d.Seldom {
		p.add(d, address, t.Snapshot(req.full))
		return
	}
	since := t.Since(req.epoch)
	p.add(d, address, t.SnapshotTo(req.place, req.clean, max(t.Left(false), seldomClean)))
	p.Tables[len(p.Tables)-1].Since = since
	oldest, size := t.Places()
	p.seldomSize += size
	if oldest != 0 && (p.oldest == 0 || oldest < p.oldest) {
		p.oldest = oldest
	}
}

// needed are the files of tables that are written seldom which a checkpoint of these parts needs, of those that there are.
func needed(have []segment, parts []partState) (out []segment, size int64) {
	oldest := uint64(0)
	for i := range parts {
		size += parts[i].seldomSize
		if o := parts[i].oldest; o != 0 && (oldest == 0 || o < oldest) {
			oldest = o
		}
	}
	for _, s := range have {
		if oldest != 0 && s.Epoch >= oldest {
			out = append(out, s)
		}
	}
	return out, size
}

// writeSeldom makes durable what a checkpoint has of tables that are written seldom, behind what there is in the place, and
// notes that in c. After an error the same can be written again.
func (s *store) writeSeldom(c *checkpoint, place uint64) (written int64, err error) {
	from := int64(0)
	if n := len(c.Seldom); n > 0 && c.Seldom[n-1].Epoch == place {
		from = c.Seldom[n-1].Bytes
	}
	var f env.File
	at, buf := from, []byte(nil)
	for i := range c.Parts {
		p := &c.Parts[i]
		for j, t := range p.Tables {
			if !t.Decl.Seldom || p.snapshots[j].Len() == 0 {
				continue
			}
			if f == nil {
				if f, err = s.openSeldom(place, from); err != nil {
					return 0, err
				}
			}
			buf = appendRecord(buf[:0], c.Epoch, p.id(), t.Key, p.snapshots[j])
			if _, err := f.WriteAt(buf, at); err != nil {
				_ = f.Close() // it will be written again
				return 0, err
			}
			at += int64(len(buf))
		}
	}
	if f == nil {
		return 0, nil
	}
	if err = f.Sync(); err == nil && from == 0 {
		err = s.env.FS.SyncDir(s.dir)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return 0, err
	}
	s.env.Point("checkpoint.seldom")
	if from > 0 {
		c.Seldom = c.Seldom[:len(c.Seldom)-1]
	}
	c.Seldom = append(c.Seldom, segment{place, at})
	return at - from, nil
}

// openSeldom opens a file whose first bytes are needed.
func (s *store) openSeldom(place uint64, keep int64) (env.File, error) {
	f, err := s.env.FS.Open(s.seldomName(place), env.Create)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(keep); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func appendRecord(dst []byte, epoch uint64, part, key string, snap *state.Snapshot) []byte {
	le := binary.LittleEndian
	dst = append(dst, make([]byte, 12)...)
	dst = le.AppendUint64(dst, epoch)
	for _, text := range []string{part, key} {
		dst = append(le.AppendUint32(dst, uint32(len(text))), text...)
	}
	dst = snap.AppendTo(dst)
	le.PutUint64(dst, uint64(len(dst)-12))
	le.PutUint32(dst[8:], crc32.Checksum(dst[12:], castagnoli))
	return dst
}

// restoreSeldom fills the tables of parts that are written seldom, which are empty.
func (s *store) restoreSeldom(c *checkpoint, parts map[string]*restored) error {
	for _, seg := range c.Seldom {
		err := s.records(seg, func(epoch uint64, part, key string, raw []byte) error {
			r := parts[part]
			if r == nil || r.tables[key] == nil || epoch < r.since[key] {
				return nil
			}
			snap, err := state.DecodeSnapshot(raw)
			if err == nil {
				err = r.tables[key].RestoreTo(seg.Epoch, snap)
			}
			if err != nil {
				return damaged("%w", err)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.seldomName(seg.Epoch), err)
		}
	}
	return nil
}

// records calls f with each record that a checkpoint needs of a file.
func (s *store) records(seg segment, f func(epoch uint64, part, key string, raw []byte) error) error {
	file, err := s.env.FS.Open(s.seldomName(seg.Epoch), env.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged("%w", err)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < seg.Bytes {
		return damaged("it has %d bytes; the checkpoint needs %d", info.Size(), seg.Bytes)
	}
	le, head := binary.LittleEndian, make([]byte, 12)
	for at := int64(0); at < seg.Bytes; {
		if seg.Bytes-at < int64(len(head)) {
			return damaged("it is damaged at byte %d", at)
		}
		if _, err := file.ReadAt(head, at); err != nil {
			return err
		}
		n := le.Uint64(head)
		if n > uint64(seg.Bytes-at-int64(len(head))) {
			return damaged("it is damaged at byte %d: a record is longer than what is left", at)
		}
		body := make([]byte, n)
		if _, err := file.ReadAt(body, at+int64(len(head))); err != nil {
			return err
		}
		if crc32.Checksum(body, castagnoli) != le.Uint32(head[8:]) {
			return damaged("it is damaged: the checksum of the record at byte %d does not fit", at)
		}
		epoch, part, key, raw, ok := cutRecord(body)
		if !ok {
			return damaged("it is damaged: the record at byte %d cannot be", at)
		}
		if err := f(epoch, part, key, raw); err != nil {
			return err
		}
		at += int64(len(head)) + int64(n)
	}
	return nil
}

func cutRecord(b []byte) (epoch uint64, part, key string, raw []byte, ok bool) {
	if len(b) < 8 {
		return 0, "", "", nil, false
	}
	epoch, b = binary.LittleEndian.Uint64(b), b[8:]
	for _, text := range []*string{&part, &key} {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return 0, "", "", nil, false
		}
		n := 4 + int(binary.LittleEndian.Uint32(b))
		*text, b = string(b[4:n]), b[n:]
	}
	return epoch, part, key, b, true
}

// forgetSeldom removes files that neither the newest checkpoint needs nor the one before it, if that stays: where the newest is
// damaged, it is what is gone back to.
func (s *store) forgetSeldom(c, before *checkpoint, entries []fs.DirEntry) error {
	keep, files := map[uint64]bool{}, c.Seldom
	if len(c.Chain) > 0 {
		files = slices.Concat(files, before.Seldom)
	}
	for _, seg := range files {
		keep[seg.Epoch] = true
	}
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), ".seldom")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(hex, 16, 64); err == nil && !keep[n] {
			if err := s.remove(s.seldomName(n)); err != nil {
				return err
			}
		}
	}
	return nil
}
