package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"path"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

// Merging says when small files become one.
type Merging struct {
	Files int   // as many small ones of a partition as are merged at least; 0: never
	Rows  int64 // as many rows as a merged file has at most; a file of half as many is no small one
	Sort  string
}

// mergeBytes is how much is read for a merged file at most, compressed: what is in memory is some times that.
const mergeBytes = 128 << 20

// Compact merges small files of one partition, if there are enough of them
// anywhere, and returns how many. Rows stay as they are; order is that of the column Sort, and within
// it the order of the files. The merged file waits out of sight until Show.
func (l *Ledger) Compact(ctx context.Context, m Merging, now int64) (int, error) {
	files := l.small(m)
	if len(files) == 0 {
		return 0, nil
	}
	var all []arrow.RecordBatch
	defer func() {
		for _, b := range all {
			b.Release()
		}
	}()
	for i := range files {
		rows, err := l.fetch(ctx, &files[i])
		if err != nil {
			return 0, err
		}
		all = append(all, rows...)
	}
	merged := l.mergedFile(files)
	merged.Final, merged.Due = merged.Name, now+l.grace
	merged.Name = waiting(merged.Name)
	data, err := encode(all, m.Sort, &merged, &l.list)
	if err != nil {
		return 0, err
	}
	merged.Bytes, merged.Checksum = int64(len(data)), objects.Checksum(data)
	if err := l.Put(ctx, merged.Name, data); err != nil {
		return 0, err
	}
	l.env.Point("lake.merged")
	off := func(f *File) bool { return slices.ContainsFunc(files, func(x File) bool { return x.Name == f.Name }) }
	return l.replace(ctx, off, &merged, now)
}

// small finds files to merge: of one folder and of one schema, in the order of the list.
func (l *Ledger) small(m Merging) []File {
	if m.Files < 2 {
		return nil
	}
	groups := map[string][]File{}
	for _, f := range l.list.Files {
		if f.Rows > m.Rows/2 || f.Bytes > mergeBytes/2 || f.Final != "" {
			continue
		}
		// Files of like size only, so that a row is written again but once for every eightfold.
		key := fmt.Sprint(f.Dir(), " ", f.Schema, " ", bits.Len64(uint64(f.Rows))/3)
		g := append(groups[key], f)
		rows, bytes := int64(0), int64(0)
		for _, x := range g {
			rows, bytes = rows+x.Rows, bytes+x.Bytes
		}
		if rows > m.Rows || bytes > mergeBytes {
			if len(g) > 2 {
				return g[:len(g)-1]
			}
			g = g[1:]
		}
		if groups[key] = g; len(g) >= m.Files {
			return g
		}
	}
	return nil
}

// fetch reads a file and checks that it is the one that was published.
func (l *Ledger) fetch(ctx context.Context, f *File) ([]arrow.RecordBatch, error) {
	data, _, err := l.store.Get(ctx, f.Name)
	if err != nil {
		return nil, err
	}
	if err := f.Check(data); err != nil {
		return nil, err
	}
	rows, err := parquet.Read(data, memory.DefaultAllocator)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.Name, ErrDamaged, err)
	}
	return rows, nil
}

// ErrDamaged says that a file is not what was published.
var ErrDamaged = errors.New("is damaged")

// Check tells whether bytes are those of the file that was published.
func (f *File) Check(data []byte) error {
	if sum := objects.Checksum(data); int64(len(data)) != f.Bytes || sum != f.Checksum {
		return fmt.Errorf("%s %w: it has %d bytes with checksum %s, and should have %d with %s; restore it from a copy, or replay the channel",
			f.Name, ErrDamaged, len(data), sum, f.Bytes, f.Checksum)
	}
	return nil
}

func (l *Ledger) mergedFile(files []File) File {
	f := files[0]
	f.Name = path.Join(f.Dir(), fmt.Sprintf("%s-%d.0-%020d-m%d.parquet", l.list.Table, l.list.Life, f.From, l.list.Changes+1))
	f.Rows, f.Merged, f.Offsets, f.Plans, f.Plugins = 0, 0, nil, nil, nil
	for _, x := range files {
		f.Rows += x.Rows
		f.Merged += max(1, x.Merged)
		f.From, f.To = min(f.From, x.From), max(f.To, x.To)
		f.MinTime, f.MaxTime = min(f.MinTime, x.MinTime), max(f.MaxTime, x.MaxTime)
		f.Plans, f.Plugins = union(f.Plans, x.Plans), union(f.Plugins, x.Plugins)
		for _, o := range x.Offsets {
			f.Offsets = AddOffsets(f.Offsets, o)
		}
	}
	return f
}

func union(x, y []string) []string {
	out := append(slices.Clone(x), y...)
	slices.Sort(out)
	return slices.Compact(out)
}

// AddOffsets widens a list that is sorted by partition.
func AddOffsets(to []Offsets, o Offsets) []Offsets {
	at, known := slices.BinarySearchFunc(to, o, func(x, y Offsets) int { return x.Partition - y.Partition })
	if !known {
		return slices.Insert(to, at, o)
	}
	to[at].From, to[at].To = min(to[at].From, o.From), max(to[at].To, o.To)
	return to
}

// encode makes a merged file.
func encode(rows []arrow.RecordBatch, by string, f *File, list *Manifest) ([]byte, error) {
	e, err := parquet.NewEncoder(rows[0].Schema())
	if err != nil {
		return nil, err
	}
	var refs []parquet.Ref
	for i, b := range rows {
		for j := range int(b.NumRows()) {
			refs = append(refs, parquet.Ref{Batch: uint32(i), Row: uint32(j)})
		}
	}
	if at := rows[0].Schema().FieldIndices(by); len(at) == 1 {
		if _, ok := rows[0].Column(at[0]).(*array.String); ok {
			sortBy(rows, at[0], refs)
		}
	}
	if int64(len(refs)) != f.Rows {
		return nil, fmt.Errorf("the files of %s have %d rows, and the list says %d", f.Name, len(refs), f.Rows)
	}
	return e.Encode(nil, rows, refs, []parquet.KeyValue{Lineage(list, f)}), nil
}

func sortBy(rows []arrow.RecordBatch, col int, refs []parquet.Ref) {
	slices.SortStableFunc(refs, func(x, y parquet.Ref) int {
		a, b := rows[x.Batch].Column(col).(*array.String), rows[y.Batch].Column(col).(*array.String)
		i, j := int(x.Row), int(y.Row)
		switch n, m := a.IsNull(i), b.IsNull(j); {
		case n && m:
			return 0
		case n:
			return -1
		case m:
			return 1
		}
		return cmp.Compare(a.Value(i), b.Value(j))
	})
}

// LineageKey is the entry of a file's metadata that says where its rows come from.
const LineageKey = "_tidemill"

// Lineage is that entry.
func Lineage(list *Manifest, f *File) parquet.KeyValue {
	said := map[string]any{"sink": list.Shape.Sink, "channel": list.Shape.Channel, "life": list.Life, "rows": f.Rows,
		"places": [2]uint64{f.From, f.To}, "offsets": f.Offsets}
	if f.Merged > 0 {
		said["merged"] = f.Merged
	}
	units := map[string]string{}
	for _, c := range list.Shape.Columns {
		if c.Unit != "" {
			units[c.Name] = c.Unit
		}
	}
	if len(units) > 0 {
		said["units"] = units
	}
	if len(f.Plans) > 0 {
		said["plans"] = f.Plans
	}
	if len(f.Plugins) > 0 {
		said["plugins"] = f.Plugins
	}
	text, err := json.Marshal(said) // members sorted by name
	if err != nil {
		panic("BUG: lineage that is no JSON: " + err.Error())
	}
	return parquet.KeyValue{Key: LineageKey, Value: string(text)}
}
