package ledger

import (
	"context"
	"errors"
	"slices"
)

// showMost is how many merged files get their names at a time, so that a step stays short.
const showMost = 4

// Show gives merged files whose grace period is over their final names, and removes the files that they
// replace. It returns how many.
func (l *Ledger) Show(ctx context.Context, now int64) (int, error) {
	var due []string
	for _, f := range l.list.Files {
		if f.Final != "" && f.Due <= now && len(due) < showMost {
			due = append(due, f.Name)
		}
	}
	for i, name := range due {
		if err := l.show(ctx, name, now); err != nil {
			return i, err
		}
	}
	return len(due), nil
}

func (l *Ledger) showAll(ctx context.Context, names []string) error {
	for _, name := range names {
		at := slices.IndexFunc(l.list.Files, func(f File) bool { return f.Name == name })
		err := l.show(ctx, name, l.list.Files[at].Due)
		if err != nil && !errors.Is(err, ErrDamaged) { // a damaged one must not keep new rows from coming
			return err
		}
	}
	return nil
}

// show writes a merged file once more, under its final name, and in the next moment removes those that it replaces. Only
// then does the list call it by that name: who has read the list before finds it where it waited.
func (l *Ledger) show(ctx context.Context, name string, now int64) error {
	next := l.list
	next.Files, next.Gone = slices.Clone(l.list.Files), nil
	f := &next.Files[slices.IndexFunc(next.Files, func(f File) bool { return f.Name == name })]
	data, _, err := l.store.Get(ctx, f.Name)
	if err == nil {
		err = f.Check(data)
	}
	if err != nil {
		return err
	}
	var replaced []string
	for _, g := range l.list.Gone {
		if g.By == name {
			replaced = append(replaced, g.Name)
		} else {
			next.Gone = append(next.Gone, g)
		}
	}
	if err := l.Put(ctx, f.Final, data); err != nil {
		return err
	}
	l.env.Point("lake.shown")
	if err := l.store.Delete(ctx, replaced...); err != nil {
		return err
	}
	l.env.Point("lake.replaced")
	f.Name, f.Final, f.Due = f.Final, "", 0
	next.Gone = append(next.Gone, Gone{Name: name, Until: now + l.grace})
	return l.write(ctx, &next)
}
