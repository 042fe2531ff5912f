package pipetest

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
)

// Files beside a configuration, such as a table that rows are enriched from, are
// there for its tests too, up to these sizes, bytes.
const (
	fileMost  = 8 << 20
	filesMost = 64 << 20
)

// copyFiles puts the files beside the configuration on the simulated machine, and those elsewhere that stages of p read.
func (w *world) copyFiles(p *plan.Plan) error {
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
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.Bound.File == "" {
				continue
			}
			if err := w.copyTable(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyTable puts the file that a stage reads on the simulated machine. Of one that is not there the stage tells.
func (w *world) copyTable(n *plan.Node) error {
	f, err := w.o.Env.FS.Open(n.Bound.File, env.ReadOnly)
	if err != nil {
		return nil
	}
	info, err := f.Stat()
	switch err = errors.Join(err, f.Close()); {
	case err != nil:
		return err
	case info.Size() > fileMost:
		return fmt.Errorf("%s reads %s, which has %d bytes; a test takes tables of up to %d", n.Block.Address(), n.Bound.File, info.Size(), fileMost)
	}
	return w.copyFile(n.Bound.File, info.Size())
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
