//go:build duckdb && cgo

package query

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
)

// prepare makes the views that a statement needs, and closes every other way to a file.
func (s *session) prepare(ctx context.Context, t *tree, tables []*Table, sum *Summary) error {
	var paths, all []string
	for _, table := range tables {
		if table.Lake == nil {
			continue
		}
		var files []*ledger.File
		var local []string
		if slices.Contains(t.tables, table.Name) || slices.Contains(t.tables, table.Name+latestSuffix) {
			var err error
			if files, err = s.prune(ctx, t, table); err != nil {
				return err
			}
			sum.OfFiles += len(table.Lake.Files)
			sum.Files += len(files)
			for _, f := range files {
				sum.FilesSize += f.Bytes
			}
			if local, err = s.local(ctx, table, files); err != nil {
				return err
			}
		}
		paths = append(paths, local...)
		all = append(all, views(table, files, local)...)
	}
	out := filepath.Join(s.q.Scratch, parquetName)
	wall := []string{
		"SET allowed_paths = " + list(append(paths, out)),
		"SET enable_external_access = false",
	}
	for _, text := range append(append(wall, all...), "SET lock_configuration = true") {
		if err := s.exec(ctx, text); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
	return nil
}

// prune lists the files of a table that the statement can need.
func (s *session) prune(ctx context.Context, t *tree, table *Table) ([]*ledger.File, error) {
	m := table.Lake.Manifest
	var all []*ledger.File
	for i := range m.Files {
		all = append(all, &m.Files[i])
	}
	conditions := t.conditions(table)
	if len(conditions) == 0 || len(all) == 0 {
		return all, nil
	}
	keep, ok := s.fulfil(ctx, m, conditions)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !ok {
		return all, nil
	}
	var out []*ledger.File
	for _, i := range keep {
		if i < 0 || i >= len(all) {
			panic("BUG: a file that is not on the list")
		}
		out = append(out, all[i])
	}
	return out, nil
}

// fulfil lists the files that fulfil conditions, in order; ok is false where that cannot be found
// out: the statement itself will then say what is wrong with a condition.
func (s *session) fulfil(ctx context.Context, m *ledger.Manifest, conditions []any) (keep []int, ok bool) {
	node := s.like(ctx, "SELECT i FROM _files WHERE true AND true ORDER BY i")
	if node == nil {
		return nil, false
	}
	where, _ := node["where_clause"].(map[string]any)
	yes, _ := where["children"].([]any)
	if where == nil || len(yes) != 2 {
		return nil, false
	}
	where["children"] = append(slices.Clone(yes), conditions...)
	question := s.write(ctx, node)
	if question == "" || s.exec(ctx, "CREATE TEMP TABLE _files AS "+filesTable(m)) != nil {
		return nil, false
	}
	defer func() { ok = s.exec(ctx, "DROP TABLE _files") == nil && ok }()
	rows, err := s.conn.QueryContext(ctx, question)
	if err != nil {
		return nil, false
	}
	defer func() { ok = rows.Close() == nil && ok }()
	for rows.Next() {
		var i int64
		if rows.Scan(&i) != nil {
			return nil, false
		}
		keep = append(keep, int(i))
	}
	return keep, rows.Err() == nil
}

// local gives the paths of files on this machine. Those in a bucket are fetched.
func (s *session) local(ctx context.Context, table *Table, files []*ledger.File) ([]string, error) {
	wanted := map[string]bool{}
	var size int64
	for _, f := range files {
		wanted[f.Name] = true
		size += f.Bytes
	}
	dir := ""
	if table.Lake.Remote() {
		if size > s.q.CacheLimit {
			return nil, &Problem{Message: fmt.Sprintf("the statement needs %d files of table %s, %.3f MB, and the cache for files out of buckets holds %.3f MB",
				len(files), table.Name, float64(size)/1e6, float64(s.q.CacheLimit)/1e6), Right: "a condition on " + partitionNames(table.Lake.Manifest) + ", or a larger --cache-limit"}
		}
		p := table.Source.Place
		dir = path.Join(s.q.Cache, objects.Checksum([]byte(p.Endpoint+" "+p.Place)))
		if err := s.room(ctx, dir, wanted, size); err != nil {
			return nil, err
		}
	}
	paths, err := table.Lake.Local(ctx, dir, func(f *ledger.File) bool { return wanted[f.Name] })
	if err != nil {
		return nil, err
	}
	for i, p := range paths {
		if paths[i], err = filepath.Abs(p); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// room removes files from the cache until what is wanted fits in beside the rest.
func (s *session) room(ctx context.Context, dir string, wanted map[string]bool, size int64) error {
	store, err := objects.Open(s.env, objects.Config{Place: dir})
	if err != nil {
		return err
	}
	have, err := store.List(ctx, "")
	if err != nil {
		return err
	}
	for _, o := range have {
		if !wanted[o.Name] {
			size += o.Size
		}
	}
	for _, o := range have {
		if size <= s.q.CacheLimit {
			return nil
		}
		if wanted[o.Name] {
			continue
		}
		if err := store.Delete(ctx, o.Name); err != nil {
			return err
		}
		size -= o.Size
	}
	return nil
}

func partitionNames(m *ledger.Manifest) string {
	if len(m.Shape.Partition) == 0 {
		return "nothing helps: it has no partitions"
	}
	out := ""
	for i, p := range m.Shape.Partition {
		if i > 0 {
			out += " or "
		}
		out += p.Name
	}
	return out
}
