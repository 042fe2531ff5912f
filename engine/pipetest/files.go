package pipetest

import (
	"errors"
	"io"
	"path"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
)

// Files beside a configuration, such as a table that rows are enriched from, are
// there for its tests too, up to these sizes, bytes.
const (
	fileMost  = 8 << 20
	filesMost = 64 << 20
)

// copyFiles puts the files beside the configuration on the simulated machine.
func (w *world) copyFiles() error {
	entries, err := w.o.Env.FS.ReadDir(w.dir)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, entry := range entries {
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || strings.HasSuffix(entry.Name(), ".hcl") {
			continue
		}
		info, err := entry.Info()
		if err != nil || info.Size() > fileMost || total+info.Size() > filesMost {
			continue // whoever opens it will say that it is not there
		}
		total += info.Size()
		if err := w.copyFile(path.Join(w.dir, entry.Name()), info.Size()); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) copyFile(name string, size int64) error {
	from, err := w.o.Env.FS.Open(name, env.ReadOnly)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(io.NewSectionReader(from, 0, size))
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	fsys := w.machine.Env().FS
	if err := fsys.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	to, err := fsys.Open(name, env.Create)
	if err != nil {
		return err
	}
	_, err = to.WriteAt(content, 0)
	return errors.Join(err, to.Sync(), to.Close(), fsys.SyncDir(path.Dir(name)))
}
