package sinkparquet

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

// publish writes what is held. After an error it goes on where it was.
func (s *sink) publish(ctx context.Context) error {
	h := s.held
	for len(h.done) < len(h.files) {
		f := h.files[len(h.done)]
		entry, data := s.encode(f)
		if err := s.table.Put(ctx, entry.Name, data); err != nil {
			return err // a request that was broken off may be reading data still
		}
		if cap(data) <= maxRoom {
			s.room = data[:0]
		}
		s.op.Env.Point("lake.put")
		h.done = append(h.done, entry)
	}
	var columns []ledger.Column
	rows, bytes := int64(0), int64(0)
	for _, st := range h.sets {
		columns = append(columns, st.shape.columns...)
	}
	for _, f := range h.done {
		rows, bytes = rows+f.Rows, bytes+f.Bytes
	}
	if err := s.table.Publish(ctx, h.done, columns, h.last+1); err != nil {
		return err
	}
	s.op.Count("files", int64(len(h.done)))
	s.op.Count("rows", rows)
	s.op.Count("bytes", bytes)
	s.held = h.following(s.opts)
	return s.upkeep(ctx)
}

// encode makes a file and its entry in the list.
func (s *sink) encode(f *file) (ledger.File, []byte) {
	h := s.held
	refs := h.order(f)
	d := h.parts.dirs[f.dir]
	entry := ledger.File{
		Name: s.table.FileName(d.name, f.place), Rows: int64(len(refs)), Schema: f.set.shape.digest, Partition: d.values,
		From: h.first, To: h.last + 1,
	}
	from, to := f.extent(&entry)
	if s.op.Origin != nil {
		o := s.op.Origin(from, to)
		entry.Plans, entry.Plugins = []string{o.Plan}, o.Plugins
	}
	data := f.set.shape.encoder.Encode(s.room, f.set.batches, refs, []parquet.KeyValue{ledger.Lineage(s.table.Manifest(), &entry)})
	s.room = nil
	entry.Bytes, entry.Checksum = int64(len(data)), objects.Checksum(data)
	return entry, data
}

// maxRoom is how large a file may be so that its memory is kept for the next one, bytes.
const maxRoom = 64 << 20

// extent notes which times and which records a file has. It returns when the first and the last of these were received.
func (f *file) extent(entry *ledger.File) (from, to int64) {
	n := len(f.set.shape.take)
	times := make([][]arrow.Timestamp, len(f.set.batches))
	received := make([][]arrow.Timestamp, len(f.set.batches))
	offsets := make([][]int64, len(f.set.batches))
	for i, b := range f.set.batches {
		times[i] = b.Column(n + 4).(*array.Timestamp).TimestampValues()
		received[i] = b.Column(n + 3).(*array.Timestamp).TimestampValues()
		offsets[i] = b.Column(n + 1).(*array.Int64).Int64Values()
	}
	entry.MinTime, entry.MaxTime = math.MaxInt64, math.MinInt64
	from, to = math.MaxInt64, math.MinInt64
	for i := 0; i < len(f.refs); {
		batch := f.refs[i].Batch
		ts, rs, os := times[batch], received[batch], offsets[batch]
		o := ledger.Offsets{Partition: f.set.from[batch], From: os[f.refs[i].Row], To: os[f.refs[i].Row]}
		for ; i < len(f.refs) && f.refs[i].Batch == batch; i++ {
			row := f.refs[i].Row
			entry.MinTime, entry.MaxTime = min(entry.MinTime, int64(ts[row])), max(entry.MaxTime, int64(ts[row]))
			o.From, o.To = min(o.From, os[row]), max(o.To, os[row])
			from, to = min(from, int64(rs[row])), max(to, int64(rs[row]))
		}
		entry.Offsets = ledger.AddOffsets(entry.Offsets, o)
	}
	return from, to
}

const (
	// upkeepEvery is how often old and small files are looked for while nothing is published, us.
	upkeepEvery = 60_000_000
	// mergesMost is how many merges come one after the other at most.
	mergesMost = 4
)

// upkeep brings the views up to date, merges small files, and removes old ones.
func (s *sink) upkeep(ctx context.Context) error {
	if err := s.table.Views(ctx); err != nil {
		return err
	}
	s.upkept = s.tick
	now := s.tick
	if now == 0 {
		return nil // no tick has come yet: nobody knows how late it is
	}
	s.merge(ctx, now)
	if s.opts.retention > 0 {
		n, err := s.table.Retire(ctx, now-s.opts.retention, now)
		if err != nil {
			return err
		}
		s.op.Count("files_retired", int64(n))
	}
	if _, err := s.table.Sweep(ctx, now); err != nil {
		return err
	}
	return s.table.Views(ctx)
}

// merge merges small files, and shows merged ones. What is wrong with them must not keep new rows from coming: it is told, and left alone.
func (s *sink) merge(ctx context.Context, now int64) {
	if s.stuck {
		return
	}
	by := ""
	if i := slices.IndexFunc(s.opts.keys, func(k string) bool { return k != "" }); i >= 0 {
		by = s.opts.keys[i]
	}
	_, err := s.table.Show(ctx, now)
	for range mergesMost {
		n := 0
		if err == nil {
			n, err = s.table.Compact(ctx, ledger.Merging{Files: s.opts.compact, Rows: int64(s.opts.rows), Sort: by}, now)
		}
		if err != nil {
			s.op.Count("merge_errors", 1) // and the next upkeep tries again
			if s.stuck = errors.Is(err, ledger.ErrDamaged); s.stuck && s.op.Report != nil {
				s.op.Report(s.op.Address + ": small files are not merged until the next start: " + err.Error())
			}
			return
		}
		if n == 0 {
			return
		}
		s.op.Count("files_merged", int64(n))
	}
}
