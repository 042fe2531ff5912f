package env

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path"
)

// AnySize is no limit for ReadWhole: of files that only we write.
const AnySize = math.MaxInt64

// ReadWhole returns what a file holds. One of more than most bytes is an error that tells both numbers, and so is one that became
// shorter while it was read (io.ErrUnexpectedEOF): half of a file is never taken for the whole.
func ReadWhole(files FS, name string, most int64) (_ []byte, err error) {
	f, err := files.Open(name, ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("it has %d bytes; at most %d are read", info.Size(), most)
	}
	content := make([]byte, info.Size())
	if n, err := f.ReadAt(content, 0); n < len(content) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return content, nil
}

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

// settleBytes is how much Settle writes at a time.
const settleBytes = 256 << 10

// Settle makes durable what a file holds from a place on, before somebody builds on it who has only read it. A Sync alone does not: what an earlier
// one has failed to write, of whichever process, the system goes on showing, and no later Sync writes it. So it is written once more, the same to the same place.
func Settle(f File, from int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	piece := make([]byte, min(settleBytes, max(0, info.Size()-from)))
	for at := from; at < info.Size(); at += int64(len(piece)) {
		piece = piece[:min(int64(len(piece)), info.Size()-at)]
		if n, err := f.ReadAt(piece, at); n < len(piece) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := f.WriteAt(piece, at); err != nil {
			return err
		}
	}
	return f.Sync()
}
