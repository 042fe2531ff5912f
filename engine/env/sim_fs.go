package env

import (
	"errors"
	"io/fs"
	"path"
	"sort"
	"time"
)

// simDir is a folder: what is in it, and what would be in it after a crash.
type simDir struct {
	now     map[string]*inode
	durable map[string]*inode
	pending []dirOp // since the last SyncDir, in order
	folders map[string]bool
	like    int // bytes of the file that was closed last after writing
}

// dirOp is one creation, renaming or removal: it sets names, to nil to remove
// them. A crash keeps it whole or not at all.
type dirOp struct{ sets []dirSet }

type dirSet struct {
	name string
	node *inode
}

func newSimDir() *simDir {
	return &simDir{now: map[string]*inode{}, durable: map[string]*inode{}, folders: map[string]bool{}}
}

func (d *simDir) change(sets ...dirSet) {
	apply(d.now, sets)
	d.pending = append(d.pending, dirOp{sets})
}

func apply(names map[string]*inode, sets []dirSet) {
	for _, s := range sets {
		if s.node == nil {
			delete(names, s.name)
		} else {
			names[s.name] = s.node
		}
	}
}

// simFS is the file system of a Sim. Names that do not start with a slash are
// taken from the root. Folders are durable at once; it renames files only, and
// only within a folder.
type simFS struct{ s *Sim }

func clean(name string) string { return path.Clean("/" + name) }

func pathErr(op Op, name string, err error) error {
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}

// enter locks the machine and counts the operation. It returns how to unlock
// and, when a crash strikes, panics.
func (f simFS) enter(op Op, name string) error {
	f.s.mu.Lock()
	err, crash := f.s.begin(op, name)
	if crash {
		f.s.mu.Unlock()
		panic(ErrCrashed)
	}
	return err
}

// find returns the folder of a name and the name in it.
func (f simFS) find(op Op, name string) (*simDir, string, error) {
	full := clean(name)
	d := f.s.dirs[path.Dir(full)]
	if d == nil {
		return nil, "", pathErr(op, name, fs.ErrNotExist)
	}
	return d, path.Base(full), nil
}

func (f simFS) Open(name string, flag Flag) (File, error) {
	err := f.enter(OpOpen, name)
	defer f.s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	d, base, err := f.find(OpOpen, name)
	if err != nil {
		return nil, err
	}
	node := d.now[base]
	switch {
	case d.folders[base]:
		return nil, pathErr(OpOpen, name, errors.New("is a folder"))
	case node == nil && flag != Create:
		return nil, pathErr(OpOpen, name, fs.ErrNotExist)
	case node == nil:
		node = &inode{like: d.like}
		d.change(dirSet{base, node})
	}
	node.opens++
	return &simFile{s: f.s, dir: d, node: node, name: name, life: f.s.life, write: flag != ReadOnly}, nil
}

func (f simFS) Rename(from, to string) error {
	err := f.enter(OpRename, from)
	defer f.s.mu.Unlock()
	if err != nil {
		return err
	}
	d, base, err := f.find(OpRename, from)
	if err != nil {
		return err
	}
	node := d.now[base]
	if node == nil {
		return pathErr(OpRename, from, fs.ErrNotExist)
	}
	if path.Dir(clean(from)) != path.Dir(clean(to)) {
		return pathErr(OpRename, from, errors.New("the simulated file system renames only within a folder"))
	}
	target := path.Base(clean(to))
	if target == base {
		return nil
	}
	if d.folders[target] {
		return pathErr(OpRename, to, fs.ErrExist)
	}
	f.s.forget(d.now[target])
	d.change(dirSet{base, nil}, dirSet{target, node})
	return nil
}

func (f simFS) Remove(name string) error {
	err := f.enter(OpRemove, name)
	defer f.s.mu.Unlock()
	if err != nil {
		return err
	}
	d, base, err := f.find(OpRemove, name)
	if err != nil {
		return err
	}
	if d.folders[base] {
		sub := f.s.dirs[clean(name)]
		if len(sub.now)+len(sub.folders) > 0 {
			return pathErr(OpRemove, name, errors.New("the folder is not empty"))
		}
		delete(d.folders, base)
		delete(f.s.dirs, clean(name))
		return nil
	}
	if d.now[base] == nil {
		return pathErr(OpRemove, name, fs.ErrNotExist)
	}
	f.s.forget(d.now[base])
	d.change(dirSet{base, nil})
	return nil
}

func (f simFS) MkdirAll(name string) error {
	err := f.enter(OpMkdir, name)
	defer f.s.mu.Unlock()
	if err != nil {
		return err
	}
	return f.mkdirAll(clean(name))
}

func (f simFS) mkdirAll(full string) error {
	if f.s.dirs[full] != nil {
		return nil
	}
	parent := path.Dir(full)
	if err := f.mkdirAll(parent); err != nil {
		return err
	}
	if f.s.dirs[parent].now[path.Base(full)] != nil {
		return pathErr(OpMkdir, full, errors.New("there is a file of that name"))
	}
	f.s.dirs[parent].folders[path.Base(full)] = true
	f.s.dirs[full] = newSimDir()
	return nil
}

func (f simFS) ReadDir(name string) ([]fs.DirEntry, error) {
	err := f.enter(OpReadDir, name)
	defer f.s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	d := f.s.dirs[clean(name)]
	if d == nil {
		return nil, pathErr(OpReadDir, name, fs.ErrNotExist)
	}
	out := make([]fs.DirEntry, 0, len(d.now)+len(d.folders))
	for base, node := range d.now {
		out = append(out, fs.FileInfoToDirEntry(simInfo{base, int64(len(node.data)), false}))
	}
	for base := range d.folders {
		out = append(out, fs.FileInfoToDirEntry(simInfo{base, 0, true}))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name() < out[j].Name() })
	return out, nil
}

func (f simFS) SyncDir(name string) error {
	err := f.enter(OpSyncDir, name)
	defer f.s.mu.Unlock()
	d := f.s.dirs[clean(name)]
	switch {
	case err != nil:
		return err
	case d == nil:
		return pathErr(OpSyncDir, name, fs.ErrNotExist)
	}
	var was []*inode
	for _, op := range d.pending {
		for _, set := range op.sets {
			if node := d.durable[set.name]; node != nil {
				was = append(was, node)
			}
		}
		apply(d.durable, op.sets)
	}
	d.pending = nil
	for _, node := range was {
		if node.gone && node.opens == 0 { // not even a crash brings it back
			f.s.recycle(node.data)
			node.data = nil
		}
	}
	return nil
}

// simInfo is the fs.FileInfo of a simulated file or folder.
type simInfo struct {
	name   string
	size   int64
	folder bool
}

func (i simInfo) Name() string       { return i.name }
func (i simInfo) Size() int64        { return i.size }
func (i simInfo) ModTime() time.Time { return time.Time{} }
func (i simInfo) IsDir() bool        { return i.folder }
func (i simInfo) Sys() any           { return nil }
func (i simInfo) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
