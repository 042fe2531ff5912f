package env

import (
	"errors"
	"path"
)

// WriteWhole writes a file so that its name leads to its old content or to the new, whatever
// happens meanwhile: beside its place, synced, and renamed. It is durable when it returns.
// Two writers of one name must not meet.
func WriteWhole(files FS, name string, content []byte) error {
	f, err := files.Open(name+".tmp", Create)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := files.Rename(name+".tmp", name); err != nil {
		return err
	}
	return files.SyncDir(path.Dir(name))
}
