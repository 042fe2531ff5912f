package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
)

// unfinished ends the name of a file that is being written. It begins with _ so that those pass over it who read
// all files of a folder.
const unfinished = ".unfinished"

func unfinishedName(full string) string {
	return path.Join(path.Dir(full), "_"+path.Base(full)+unfinished)
}

// local keeps objects as files of a folder.
type local struct {
	fs   env.FS
	root string
}

func (l *local) Put(_ context.Context, name string, data []byte, when Condition) (string, error) {
	full := path.Join(l.root, name)
	if err := l.check(full, when); err != nil {
		return "", err
	}
	dir := path.Dir(full)
	if err := l.fs.MkdirAll(dir); err != nil {
		return "", err
	}
	if err := l.write(unfinishedName(full), data); err != nil {
		return "", err
	}
	if err := l.fs.Rename(unfinishedName(full), full); err != nil {
		return "", err
	}
	return Checksum(data), l.fs.SyncDir(dir)
}

func (l *local) check(full string, when Condition) error {
	if when == (Condition{}) {
		return nil
	}
	data, err := env.ReadWhole(l.fs, full, env.AnySize)
	switch {
	case errors.Is(err, fs.ErrNotExist) && when.absent:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && !when.absent && Checksum(data) == when.version:
		return nil
	}
	if err == nil { // of a put that failed behind its rename, perhaps
		if err := l.fs.SyncDir(path.Dir(full)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", full, ErrChanged)
}

func (l *local) write(name string, data []byte) error {
	f, err := l.fs.Open(name, env.Create)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		// A file whose sync failed must not be used again.
		_ = l.fs.Remove(name) // Clean does it otherwise
	}
	return err
}

func (l *local) Get(_ context.Context, name string) ([]byte, string, error) {
	data, err := env.ReadWhole(l.fs, path.Join(l.root, name), env.AnySize)
	if err != nil {
		return nil, "", err
	}
	return data, Checksum(data), nil
}

func (l *local) List(_ context.Context, folder string) ([]Object, error) {
	var out []Object
	err := l.walk(folder, func(name string, size int64) error {
		if !strings.HasSuffix(name, unfinished) {
			out = append(out, Object{name, size})
		}
		return nil
	})
	return out, err
}

// walk calls f for every file below a folder, sorted by name.
func (l *local) walk(folder string, f func(name string, size int64) error) error {
	entries, err := l.fs.ReadDir(path.Join(l.root, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if e.IsDir() {
			err = l.walk(name, f)
		} else {
			var info fs.FileInfo
			if info, err = e.Info(); errors.Is(err, fs.ErrNotExist) {
				continue // removed meanwhile
			}
			if err == nil {
				err = f(name, info.Size())
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *local) Delete(_ context.Context, names ...string) error {
	dirs := map[string]bool{}
	for _, name := range names {
		full := path.Join(l.root, name)
		if err := l.fs.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		dirs[path.Dir(full)] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if err := l.fs.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Folders that are empty now go too; one that is not refuses.
		for ; dir != l.root && strings.HasPrefix(dir, l.root); dir = path.Dir(dir) {
			if entries, err := l.fs.ReadDir(dir); err != nil || len(entries) > 0 || l.fs.Remove(dir) != nil {
				break
			}
		}
	}
	return nil
}

func (l *local) Clean(context.Context) error {
	return l.walk("", func(name string, _ int64) error {
		if !strings.HasSuffix(name, unfinished) {
			return nil
		}
		return l.fs.Remove(path.Join(l.root, name))
	})
}

var _ Store = (*local)(nil)
