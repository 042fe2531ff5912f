// A token, which the engine keeps in a checkpoint:
//
//	+---------+---------------------------+------------------------------------+
//	| version | committed length, uvarint | CSV: the header that counts there  |
//	| 1 byte  |                           | (the rest, UTF-8)                  |
//	+---------+---------------------------+------------------------------------+
//
// A note PATH.uncommitted holds a token too: what Recover found at first.

package sinkfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/stage"
)

const (
	tokenVersion = 1
	// writeBytes is how much text is gathered before it is written.
	writeBytes = 256 << 10
	noteEnding = ".uncommitted"
	// maxHeader limits the header line that is looked for in a file to append to.
	maxHeader = 64 << 10
)

// fileSink writes text at a known place of the file, so that a write that
// failed can be made again.
type fileSink struct {
	env    *env.Env
	opts   options
	file   env.File
	length int64 // of what has been written
	buf    []byte
	enc    encoder
	note   bool  // the note may be there
	broken error // a sync failed: nothing is known about the file
}

func openFile(o stage.Opening, opts options) (stage.Sink, error) {
	if rest, ok := strings.CutPrefix(opts.name, DataScheme); ok {
		opts.name = path.Join(o.DataDir, rest)
	}
	return &fileSink{env: o.Env, opts: opts, enc: encoder{opts: opts}}, nil
}

func (s *fileSink) Recover(_ context.Context, token []byte) error {
	fsys := s.env.FS
	dir := path.Dir(s.opts.name)
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	file, err := fsys.Open(s.opts.name, env.Create)
	if err != nil {
		return err
	}
	s.file = file
	if err := s.refuseRead(); err != nil {
		return err
	}
	size, err := fileSize(file)
	if err != nil {
		return err
	}
	if token == nil {
		if token, err = s.begin(size); err != nil {
			return err
		}
	} else {
		s.note = true // of a crash between checkpoint and commit, perhaps
	}
	s.length, s.enc.header, err = decodeToken(token)
	if err != nil {
		return fmt.Errorf("the checkpoint's token for %s: %w", s.opts.name, err)
	}
	switch {
	case size == 0:
		// Moved away, or new. What it held before is not ours to miss.
		s.length, s.enc.header = 0, ""
	case size < s.length:
		return fmt.Errorf("%s has %d bytes, but %d were committed: rows are missing. Put the whole file back, or move it away to start a new one",
			s.opts.name, size, s.length)
	case size > s.length:
		if err := file.Truncate(s.length); err != nil {
			return err
		}
	}
	s.enc.empty = s.length == 0
	if err := file.Sync(); err != nil {
		return s.fail(err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(dir))
}

// refuseRead finds a file that an ingest reads where its folder goes by another name than the sink's, such as one from the root on.
func (s *fileSink) refuseRead() error {
	own, err := s.file.Stat()
	if err != nil {
		return err
	}
	for _, r := range s.opts.reads {
		if !r.matches(s.opts.name) {
			continue
		}
		other, err := s.env.FS.Open(path.Join(path.Dir(r.path), path.Base(s.opts.name)), env.ReadOnly)
		if err != nil {
			continue // what cannot be opened the ingest tells of
		}
		info, err := other.Stat()
		if err = errors.Join(err, other.Close()); err == nil && os.SameFile(own, info) {
			return fmt.Errorf("%s is read by ingest.%s; write to another file", s.opts.name, r.ingest)
		}
	}
	return nil
}

// begin decides what a file is that no checkpoint knows of, and returns a
// token for its present state.
func (s *fileSink) begin(size int64) ([]byte, error) {
	note, err := readSmall(s.env.FS, s.opts.name+noteEnding)
	if err != nil {
		return nil, err
	}
	// A note that was cut short by a crash was never followed by a row.
	if length, _, err := decodeToken(note); err == nil && length <= size {
		s.note = true
		return note, nil
	}
	if size > 0 && !s.opts.keep {
		return nil, fmt.Errorf("%s holds %d bytes already, and not from this run. Move it away, name another path, or write append = true to go on behind it",
			s.opts.name, size)
	}
	header := ""
	if size > 0 && s.opts.csv {
		if header, err = firstLine(s.file); err != nil {
			return nil, err
		}
	}
	token := appendToken(nil, size, header)
	return token, s.writeNote(token)
}

// writeNote leaves the note under its name only once it is on disk: one that is
// found there by a next run can be trusted.
func (s *fileSink) writeNote(token []byte) error {
	fsys, name := s.env.FS, s.opts.name+noteEnding
	f, err := fsys.Open(name+".new", env.Create)
	if err != nil {
		return err
	}
	defer f.Close()
	s.note = true
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(token, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, fsys.Remove(name+".new"))
	}
	if err := fsys.Rename(name+".new", name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

func (s *fileSink) Write(_ context.Context, in int, rows arrow.RecordBatch) error {
	if s.broken != nil {
		return s.broken
	}
	// What may fail comes before rows are taken, so that they can come again.
	if len(s.buf) >= writeBytes {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.buf = s.enc.rows(s.buf, in, rows)
	return nil
}

func (s *fileSink) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	if _, err := s.file.WriteAt(s.buf, s.length); err != nil {
		return err
	}
	s.length += int64(len(s.buf))
	s.buf = s.buf[:0]
	return nil
}

func (s *fileSink) Prepare(context.Context, uint64) ([]byte, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	if err := s.file.Sync(); err != nil {
		return nil, s.fail(err)
	}
	return appendToken(nil, s.length, s.enc.header), nil
}

// fail makes the sink refuse everything: after a failed sync the system may
// have dropped what was written, and say nothing the next time.
func (s *fileSink) fail(err error) error {
	s.broken = fmt.Errorf("%s could not be synced to disk: %w; %w once the disk is well, and goes on from the last checkpoint",
		s.opts.name, err, stage.ErrBroken)
	return s.broken
}

// Commit has nothing to make visible; the note has served its time.
func (s *fileSink) Commit(context.Context, []byte) error {
	if !s.note {
		return nil
	}
	if err := s.env.FS.Remove(s.opts.name + noteEnding); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.env.FS.SyncDir(path.Dir(s.opts.name)); err != nil {
		return err
	}
	s.note = false
	return nil
}

func (s *fileSink) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func appendToken(dst []byte, length int64, header string) []byte {
	dst = binary.AppendUvarint(append(dst, tokenVersion), uint64(length))
	return append(dst, header...)
}

func decodeToken(token []byte) (length int64, header string, err error) {
	if len(token) < 2 || token[0] != tokenVersion {
		return 0, "", fmt.Errorf("found %d bytes that are not of version %d", len(token), tokenVersion)
	}
	v, n := binary.Uvarint(token[1:])
	if n <= 0 || int64(v) < 0 {
		return 0, "", errors.New("the length in it cannot be read")
	}
	return int64(v), string(token[1+n:]), nil
}

func fileSize(f env.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readSmall returns the content of a small file, nil when there is none.
func readSmall(fsys env.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name, env.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readStart(f)
}

func readStart(f env.File) ([]byte, error) {
	buf := make([]byte, maxHeader)
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return buf[:n], nil
}

// firstLine returns the first line of a file, without its end.
func firstLine(f env.File) (string, error) {
	start, err := readStart(f)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(start, []byte("\n"))
	return strings.TrimSuffix(string(line), "\r"), nil
}

var _ stage.Sink = (*fileSink)(nil)
