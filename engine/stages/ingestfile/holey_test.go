package ingestfile

import (
	"bytes"
	"io"
	"io/fs"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// holey is a file system with one file: c, then size bytes of fill, then tail.
type holey struct {
	env.FS
	size   int
	c      string
	fill   byte
	tail   string
	buffer int // the largest read
}

func (h *holey) Open(string, env.Flag) (env.File, error) { return &holeyFile{h: h}, nil }

type holeyFile struct {
	env.File
	h *holey
}

func (f *holeyFile) length() int { return len(f.h.c) + f.h.size + len(f.h.tail) }

func (f *holeyFile) ReadAt(b []byte, off int64) (int, error) {
	f.h.buffer = max(f.h.buffer, len(b))
	n := min(len(b), f.length()-int(off))
	at := int(off)
	for done := 0; done < n; {
		var part []byte
		switch body := len(f.h.c) + f.h.size; {
		case at < len(f.h.c):
			part = []byte(f.h.c[at:])
		case at < body:
			part = bytes.Repeat([]byte{f.h.fill}, min(body-at, 1<<16))
		default:
			part = []byte(f.h.tail[at-body:])
		}
		took := copy(b[done:n], part)
		done, at = done+took, at+took
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *holeyFile) Stat() (fs.FileInfo, error) { return holeyInfo{f}, nil }
func (f *holeyFile) Close() error               { return nil }

type holeyInfo struct{ f *holeyFile }

func (i holeyInfo) Name() string       { return "a" }
func (i holeyInfo) Size() int64        { return int64(i.f.length()) }
func (i holeyInfo) Mode() fs.FileMode  { return 0o600 }
func (i holeyInfo) ModTime() time.Time { return time.Time{} }
func (i holeyInfo) IsDir() bool        { return false }
func (i holeyInfo) Sys() any           { return nil }
