package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/objects"
)

// Ledger is a table's list in the hands of its writer.
type Ledger struct {
	env   *env.Env
	store objects.Store
	list  Manifest
	read  string   // version of the list
	grace int64    // us
	tried []string // checksums of lists whose put failed, so that nobody knows whether they are there
	stale bool     // the views are of an earlier list
}

// Options are how a table is opened.
type Options struct {
	Table string
	Shape Shape
	// Life is what the writer has noted of an earlier opening, 0 if nothing; Note
	// makes another note durable before it is used.
	Life  int
	Note  func(life int) error
	Grace int64 // us for which files stay that are no longer listed
}

// Open opens a table, and makes it if there is none. Tidy has to follow.
func Open(ctx context.Context, e *env.Env, s objects.Store, o Options) (*Ledger, error) {
	l := &Ledger{env: e, store: s, grace: o.Grace}
	list, v, err := read(ctx, s, o.Table)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		list = &Manifest{Version: version, Table: o.Table}
		left, err := l.own(ctx, o.Table)
		if err != nil {
			return nil, err
		}
		if len(left) > 0 {
			return nil, fmt.Errorf("there are %d files of a table %s, such as %s, but no list of them (%s): bring it back, or move the files away",
				len(left), o.Table, left[0].Name, listName(o.Table))
		}
	case err != nil:
		return nil, err
	}
	l.list, l.read = *list, v
	if err := l.claim(ctx, &o); err != nil {
		return nil, err
	}
	return l, nil
}

// claim makes sure that the list is of this writer's life.
func (l *Ledger) claim(ctx context.Context, o *Options) error {
	if o.Life > 0 && l.list.Life > o.Life {
		return l.succeeded(o.Life)
	}
	next := l.list
	next.Shape = o.Shape
	next.Shape.Columns = columns(l.list.Shape.Columns, o.Shape.Columns)
	if o.Life == 0 {
		next.Life, next.Next = l.list.Life+1, 0
		if err := o.Note(next.Life); err != nil {
			return err
		}
	} else if l.list.Life < o.Life { // noted, and then the crash; or the table was moved away
		next.Life, next.Next = o.Life, 0
	}
	return l.write(ctx, &next)
}

func (l *Ledger) succeeded(life int) error {
	if l.list.Life == life {
		return fmt.Errorf("somebody else has written the list of table %s. Give each engine a data folder and a place of its own", l.list.Table)
	}
	return fmt.Errorf("another engine writes table %s now (life %d; this is %d). Give each engine a place of its own", l.list.Table, l.list.Life, life)
}

// columns adds to the columns that are known those that are not; what was said last of a column counts.
func columns(known, now []Column) []Column {
	out := slices.Clone(known)
	for _, c := range now {
		at := slices.IndexFunc(out, func(x Column) bool { return x.Name == c.Name })
		if at < 0 {
			out = append(out, c)
		} else {
			out[at] = c
		}
	}
	return out
}

// own lists the files that bear the table's name.
func (l *Ledger) own(ctx context.Context, table string) ([]objects.Object, error) {
	all, err := l.store.List(ctx, "")
	return slices.DeleteFunc(all, func(o objects.Object) bool { return !ours(table, o.Name) }), err
}

// ours tells whether a name is one that FileName makes: tables lake and lake-2 share a beginning.
func ours(table, name string) bool {
	rest, ok := strings.CutPrefix(path.Base(name), table+"-")
	if !ok || !strings.HasSuffix(rest, fileEnd) && !strings.HasSuffix(rest, waitingEnd) {
		return false
	}
	var life, part int
	var place uint64
	n, _ := fmt.Sscanf(rest, "%d.%d-%d", &life, &part, &place)
	return n == 3
}

// Tidy removes files that nobody lists, and what was left of puts: of a crash. It comes before the first Put.
func (l *Ledger) Tidy(ctx context.Context) error {
	if err := l.store.Clean(ctx); err != nil {
		return err
	}
	files, err := l.own(ctx, l.list.Table)
	if err != nil {
		return err
	}
	listed, half := map[string]bool{}, map[string]string{}
	for _, f := range l.list.Files {
		listed[f.Name] = true
		if f.Final != "" {
			half[f.Final] = f.Name
		}
	}
	for _, g := range l.list.Gone {
		listed[g.Name] = true
	}
	var nobodys, shown []string
	for _, o := range files {
		switch {
		case half[o.Name] != "": // the crash came while it was shown
			shown = append(shown, half[o.Name])
		case !listed[o.Name]:
			nobodys = append(nobodys, o.Name)
		}
	}
	if err := l.store.Delete(ctx, nobodys...); err != nil {
		return err
	}
	return l.showAll(ctx, shown)
}

// FileName is the name of a file whose first row comes at a place of the spool.
func (l *Ledger) FileName(dir string, place uint64) string {
	return path.Join(dir, fmt.Sprintf("%s-%d.0-%020d.parquet", l.list.Table, l.list.Life, place))
}

// Next is the place in the spool before which everything is published.
func (l *Ledger) Next() uint64 { return l.list.Next }

// Manifest is the list as it is; it must not be changed.
func (l *Ledger) Manifest() *Manifest { return &l.list }

// Put stores a file before it is published. A file that a crash has left under
// the name is replaced.
func (l *Ledger) Put(ctx context.Context, name string, data []byte) error {
	_, err := l.store.Put(ctx, name, data, objects.Absent())
	if !errors.Is(err, objects.ErrChanged) {
		return err
	}
	// The put before this one may have worked without our hearing of it.
	if there, _, err := l.store.Get(ctx, name); err == nil && objects.Checksum(there) == objects.Checksum(data) {
		return nil
	}
	_, err = l.store.Put(ctx, name, data, objects.Condition{})
	return err
}

// Publish adds files, all at once, and notes that they go up to a place of the spool.
// columns are those of the files.
func (l *Ledger) Publish(ctx context.Context, files []File, of []Column, to uint64) error {
	next := l.list
	next.Files = append(slices.Clone(l.list.Files), files...)
	next.Shape.Columns = columns(l.list.Shape.Columns, of)
	next.Next = to
	l.env.Point("lake.before-publish")
	err := l.write(ctx, &next)
	l.env.Point("lake.published")
	return err
}

// Retire takes files off the list whose newest row is from before a time, us. It returns how many.
func (l *Ledger) Retire(ctx context.Context, before, now int64) (int, error) {
	return l.replace(ctx, func(f *File) bool { return f.MaxTime < before }, nil, now)
}

// replace takes files off the list and puts another one, if any, which waits, where the first of them was.
func (l *Ledger) replace(ctx context.Context, off func(*File) bool, by *File, now int64) (int, error) {
	next := l.list
	next.Files, next.Gone = nil, slices.Clone(l.list.Gone)
	n := 0
	for i := range l.list.Files {
		f := &l.list.Files[i]
		if !off(f) {
			next.Files = append(next.Files, *f)
			continue
		}
		if n == 0 && by != nil {
			next.Files = append(next.Files, *by)
		}
		n++
		gone := Gone{Name: f.Name, Until: now + l.grace}
		if by != nil {
			gone.By = by.Name
		}
		for k := range next.Gone {
			if next.Gone[k].By == f.Name { // nobody shows it any more
				next.Gone[k].By = ""
			}
		}
		next.Gone = append(next.Gone, gone)
	}
	if n == 0 {
		return 0, nil
	}
	return n, l.write(ctx, &next)
}

// sweepMost is how many files go at a time, so that a step stays short.
const sweepMost = 64

// Sweep removes files whose grace period is over.
func (l *Ledger) Sweep(ctx context.Context, now int64) (int, error) {
	var due []string
	for _, g := range l.list.Gone {
		if g.Until <= now && g.By == "" && len(due) < sweepMost {
			due = append(due, g.Name)
		}
	}
	if len(due) == 0 {
		return 0, nil
	}
	if err := l.store.Delete(ctx, due...); err != nil {
		return 0, err
	}
	next := l.list
	next.Gone = slices.DeleteFunc(slices.Clone(l.list.Gone), func(g Gone) bool { return slices.Contains(due, g.Name) })
	return len(due), l.write(ctx, &next)
}

// write replaces the list.
func (l *Ledger) write(ctx context.Context, next *Manifest) error {
	next.Changes++
	data, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		panic("BUG: a list that is no JSON: " + err.Error())
	}
	when := objects.Unchanged(l.read)
	if l.read == "" {
		when = objects.Absent()
	}
	v, err := l.store.Put(ctx, listName(next.Table), data, when)
	if errors.Is(err, objects.ErrChanged) {
		v, err = l.lost(ctx, data, err)
	}
	if err != nil {
		if sum := objects.Checksum(data); !slices.Contains(l.tried, sum) {
			l.tried = append(l.tried[max(0, len(l.tried)-triedMost+1):], sum)
		}
		return err
	}
	l.list, l.read, l.tried, l.stale = *next, v, nil, true
	return nil
}

// triedMost is how many failed puts are remembered; one that is tried again is the same.
const triedMost = 64

// Views writes the views anew if the list has changed since.
func (l *Ledger) Views(ctx context.Context) error {
	if !l.stale {
		return nil
	}
	_, err := l.store.Put(ctx, viewName(l.list.Table), []byte(l.list.SQL("")), objects.Condition{})
	l.stale = err != nil
	return err
}

// lost finds out why the list is not the one that was read: the answer to an
// earlier put was lost on its way, or there is another writer.
func (l *Ledger) lost(ctx context.Context, data []byte, cause error) (string, error) {
	there, v, err := l.store.Get(ctx, listName(l.list.Table))
	if err != nil {
		return "", errors.Join(cause, err)
	}
	if string(there) == string(data) {
		return v, nil
	}
	if slices.Contains(l.tried, objects.Checksum(there)) {
		// An earlier try of ours, with other files: it did no harm, and this one says all.
		return l.store.Put(ctx, listName(l.list.Table), data, objects.Unchanged(v))
	}
	other := &Manifest{}
	if err := json.Unmarshal(there, other); err != nil {
		return "", errors.Join(cause, err)
	}
	life := l.list.Life
	l.list.Life = other.Life
	defer func() { l.list.Life = life }()
	return "", l.succeeded(life)
}
