package ingestfile

import (
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
	for i := range b[:n] {
		switch at := int(off) + i; {
		case at < len(f.h.c):
			b[i] = f.h.c[at]
		case at < len(f.h.c)+f.h.size:
			b[i] = f.h.fill
		default:
			b[i] = f.h.tail[at-len(f.h.c)-f.h.size]
		}
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
