package config

import (
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"testing/fstest"

	"github.com/tidemill/tidemill/engine/env"
)

// folder is an env.FS that holds one flat folder "conf", for reading.
type folder map[string]string

func (f folder) Open(name string, _ env.Flag) (env.File, error) {
	text, ok := f[strings.TrimPrefix(name, "conf/")]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return openFile{strings.NewReader(text)}, nil
}

func (f folder) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "conf" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	disk := fstest.MapFS{"conf": &fstest.MapFile{Mode: fs.ModeDir}}
	for file, text := range f {
		disk[path.Join("conf", file)] = &fstest.MapFile{Data: []byte(text)}
	}
	entries, err := disk.ReadDir(name)
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	return entries, err
}

func (folder) Rename(string, string) error { return fs.ErrPermission }
func (folder) Remove(string) error         { return fs.ErrPermission }
func (folder) MkdirAll(string) error       { return fs.ErrPermission }
func (folder) SyncDir(string) error        { return fs.ErrPermission }

// openFile is a file of a folder.
type openFile struct{ io.ReaderAt }

func (openFile) WriteAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }
func (openFile) Sync() error                        { return fs.ErrPermission }
func (openFile) Truncate(int64) error               { return fs.ErrPermission }
func (openFile) Stat() (fs.FileInfo, error)         { return nil, fs.ErrPermission }
func (openFile) Close() error                       { return nil }

// world is an Env whose only contents are files and variables.
func world(files folder, vars map[string]string) *env.Env {
	return &env.Env{FS: files, Var: func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}}
}
