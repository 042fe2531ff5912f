package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
)

const (
	defaultPartitions = 4
	maxPartitions     = 4096
)

func (o *Options) defaults() {
	o.BlockBytes = min(cmp.Or(o.BlockBytes, 256<<10), MaxRecord)
	o.SegmentBytes = cmp.Or(o.SegmentBytes, 128<<20)
	o.PendingBytes = cmp.Or(o.PendingBytes, 16<<20)
	o.CacheBytes = cmp.Or(o.CacheBytes, 16<<20)
	if o.RetainBytes > 0 {
		// Only whole segments can be trimmed, and never the active one.
		o.SegmentBytes = min(o.SegmentBytes, max(o.RetainBytes/4, 1))
	}
}

func openDisk(e *env.Env, dir string, o Options) (Log, error) {
	o.defaults()
	if err := e.FS.MkdirAll(dir); err != nil {
		return nil, err
	}
	segments, err := listSegments(e, dir)
	if err != nil {
		return nil, err
	}
	l := &disk{e: e, dir: dir, o: o, pool: newPool(o.BlockBytes, o.PendingBytes/2), least: leastDirect}
	l.shown.reported = map[place]bool{}
	l.shown.holds = map[string][]uint64{}
	r := &recovery{l: l, segments: segments}
	if err := r.run(); err != nil {
		return nil, err
	}
	l.shown.segments, l.shown.at = segments, r.at
	for _, s := range segments {
		l.shown.total += s.size
	}
	l.seq, l.groups = r.at.seq, r.at.group
	if err := l.begin(); err != nil {
		return nil, err
	}
	if len(r.at.voids)+len(r.at.gaps) > 0 || r.chosen {
		// What was decided must not be decided otherwise by the next Open.
		if err := l.settle(); err != nil {
			return nil, errors.Join(err, l.active.file.Close())
		}
	}
	return l, nil
}

// begin makes the segment of this owner. A Head is written with the first Flush.
func (l *disk) begin() error {
	id := uint64(1)
	if n := len(l.shown.segments); n > 0 {
		id = l.shown.segments[n-1].id + 1
	}
	next, err := l.create(id)
	if err != nil {
		return err
	}
	next.first = slices.Clone(l.shown.at.next)
	l.active, l.owner = next, id
	l.shown.segments = append(l.shown.segments, next.segment)
	n := l.o.Partitions
	l.shown.cache.lists = make([]cached, n)
	f := &l.filling
	f.open, f.like, f.next = make([]*memory, n), make([]int, n), slices.Clone(l.shown.at.next)
	f.marks, f.known = map[string]uint64{}, map[string]bool{}
	for name := range l.shown.at.sources {
		f.known[name] = true
	}
	return nil
}

// settle writes the Head of the new segment now.
func (l *disk) settle() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.groups++
	g := &group{}
	if err := l.write(g); err != nil {
		return err
	}
	l.publish(g)
	return nil
}

func listSegments(e *env.Env, dir string) ([]*segment, error) {
	entries, err := e.FS.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []*segment
	for _, entry := range entries {
		id, ok := segmentID(entry.Name())
		if !ok {
			if strings.HasSuffix(entry.Name(), suffix) {
				return nil, fmt.Errorf("journal: %s/%s is not the name of a segment: 16 digits and %s", dir, entry.Name(), suffix)
			}
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, &segment{id: id, name: segmentName(dir, id), size: info.Size()})
	}
	slices.SortFunc(out, func(a, b *segment) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}
