package ingestfile

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
)

const (
	readBytes = 64 << 10 // of one read, at most
	minRead   = 4 << 10
	// maxHead is how much of a file's start is looked at to know it again.
	maxHead = 64 << 10
	// maxZstdMemory limits what a zstd file may ask for: the format's own
	// recommended window for decoders is 8 MiB.
	maxZstdMemory = 128 << 20
)

// file is a file that is being read.
type file struct {
	path     string
	source   string // name for the journal
	file     env.File
	info     fs.FileInfo
	raw      rawReader
	in       io.Reader // decompressed
	pos      int64     // decompressed offset of what will be read next
	chunk    int       // bytes of the next read
	buf      []byte
	start    int // buf[start:end] has been read and is not framed
	end      int
	framer   framer
	again    bool  // buf may hold more records although nothing was read
	packed   bool  // compressed
	boundary int64 // the source's position according to what has been appended
	eof      bool  // nothing will follow what is in buf
	// When it is followed:
	identity string
	quiet    bool // the last look found nothing new
	missing  int  // how many rescans in a row have not met it
	gone     bool // its path leads elsewhere by now: at its end the file is done
	// What the journal had of this source when it was opened.
	reached  []uint64
	farthest int64
}

// rawReader reads a file from front to back.
type rawReader struct {
	file   env.File
	at     int64
	failed bool // the file could not be read, for another reason than its end
}

func (r *rawReader) Read(b []byte) (int, error) {
	n, err := r.file.ReadAt(b, r.at)
	r.at += int64(n)
	if n > 0 {
		err = nil
	}
	r.failed = r.failed || err != nil && err != io.EOF
	return n, err
}

// decompressed returns a reader of f from its start, by its first bytes.
func decompressed(raw *rawReader) (in io.Reader, packed bool, err error) {
	var magic [4]byte
	n, err := raw.file.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	switch {
	case n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		in, err = gzip.NewReader(raw)
		return in, true, err
	case n == 4 && string(magic[:]) == "\x28\xb5\x2f\xfd":
		// Concurrency 1 decodes on the caller's goroutine.
		in, err = zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxZstdMemory))
		return in, true, err
	}
	return raw, false, nil
}

// openFile opens a file and looks at its start. It does not know yet where to go on.
func openFile(fsys env.FS, path string) (*file, []byte, error) {
	f, err := fsys.Open(path, env.ReadOnly)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder; name its files, such as %s/*.ndjson", path, strings.TrimSuffix(path, "/"))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	t := &file{path: path, file: f, info: info}
	head, err := t.head()
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, head, nil
}

// head reads the start of the file, without a byte order mark.
func (t *file) head() ([]byte, error) {
	raw := rawReader{file: t.file}
	in, packed, err := decompressed(&raw)
	if err != nil {
		return nil, err
	}
	t.packed = packed
	room := int64(maxHead)
	if size := t.info.Size(); !packed && size > 0 { // /proc tells no size
		room = min(room, size)
	}
	head := make([]byte, room)
	n, err := io.ReadFull(in, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	closeReader(in)
	return head[:n], nil
}

func closeReader(in io.Reader) {
	if z, ok := in.(*zstd.Decoder); ok {
		z.Close()
	}
}

const byteOrderMark = "\xef\xbb\xbf"

// seek makes the file ready to be read from a decompressed offset. It returns
// false when the file is shorter than that. An array is always read from its
// start, and what is wrong at its end counts one byte more than there are.
func (t *file) seek(to int64, format string) (bool, error) {
	slack := int64(0)
	if format == "json" {
		slack = 1
	}
	closeReader(t.in)
	t.raw = rawReader{file: t.file}
	short := !t.packed && t.info.Size() < to-slack
	if format == "json" {
		to = 0
	}
	t.pos = to
	if !t.packed {
		t.raw.at, t.in = to, &t.raw
		return !short, nil
	}
	in, _, err := decompressed(&t.raw)
	if err != nil {
		return false, err
	}
	t.in = in
	if _, err = io.CopyN(io.Discard, in, to); err == io.EOF {
		return false, nil
	}
	return true, err
}

// skip passes over the first n bytes of a file of which nothing has been read.
func (t *file) skip(n int64) error {
	got, err := io.CopyN(io.Discard, t.in, n-t.pos)
	t.pos += got
	return err
}

// fill reads once, behind what is left from before. It returns io.EOF when
// there is nothing more for now. Records that were framed are no longer valid.
func (t *file) fill() error {
	if t.start > 0 {
		t.end = copy(t.buf, t.buf[t.start:t.end])
		t.start = 0
	}
	if t.end == 0 && len(t.buf) > 4*readBytes {
		t.buf = nil // it had grown for a long record
	}
	if t.chunk == 0 { // a small file needs no large buffer
		t.chunk = int(min(max(t.info.Size()+1, minRead), readBytes))
	}
	if len(t.buf)-t.end < t.chunk {
		grown := make([]byte, min(max(2*len(t.buf), 2*t.chunk), maxRecord+2*readBytes))
		copy(grown, t.buf[:t.end])
		t.buf = grown
	}
	n, err := t.in.Read(t.buf[t.end : t.end+t.chunk])
	if n == t.chunk {
		t.chunk = min(2*t.chunk, readBytes)
	}
	t.end += n
	t.pos += int64(n)
	if n > 0 {
		return nil
	}
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%s ends in the middle of its compressed data, at byte %d", t.path, t.raw.at)
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	return io.EOF
}

// frame gives the framer what has been read. The records in out point into the buffer.
func (t *file) frame(out *batch, eof bool) {
	n := t.end - t.start
	t.start += t.framer.frame(piece{
		buf: t.buf[t.start:t.end], base: t.pos - int64(n), eof: eof, overlong: n > maxRecord,
	}, out)
	t.again = out.full()
}

func (t *file) close() error {
	closeReader(t.in)
	return t.file.Close()
}

// sameFile tells whether two names lead to one file; known is false where the
// file system cannot tell.
func sameFile(a, b fs.FileInfo) (same, known bool) {
	if !os.SameFile(a, a) {
		return false, false
	}
	return os.SameFile(a, b), true
}

// firstRecord returns what a file is known by: its first record, and for CSV
// with a header both, at most maxHead bytes. whole says that the record is
// complete, so that it will not change as the file grows.
func firstRecord(head []byte, format string, o *options) (first []byte, whole bool) {
	head = bytes.TrimPrefix(head, []byte(byteOrderMark))
	if format == "json" {
		return head[:min(len(head), 4<<10)], true
	}
	records := 1
	if format == "csv" && o.columns == nil {
		records = 2
	}
	at := 0
	for records > 0 {
		var scan rowScan
		end := bytes.IndexByte(head[at:], '\n')
		if format == "csv" {
			end = scan.next(head[at:], o.separator)
		}
		if end < 0 {
			return head, len(head) >= maxHead-len(byteOrderMark)
		}
		if len(bytes.TrimSpace(head[at:at+end])) > 0 {
			records--
		}
		at += end + 1
	}
	return head[:at], true
}

// header reads the names of a CSV file's columns, and tells where the header ends.
func header(head []byte, o *options, path string) (names []string, end int64, err error) {
	if o.columns != nil {
		return o.columns, 0, nil
	}
	row := bytes.TrimPrefix(head, []byte(byteOrderMark))
	for len(row) > 0 && (row[0] == '\n' || bytes.HasPrefix(row, []byte("\r\n"))) {
		row = row[1+bytes.IndexByte(row, '\n'):]
	}
	var scan rowScan
	length := scan.next(row, o.separator)
	if length < 0 {
		length = len(row)
		if len(head) == maxHead {
			return nil, 0, fmt.Errorf("%s: the header of a CSV file has less than %d bytes", path, maxHead)
		}
	}
	end = int64(len(head) - len(row) + length)
	cells, _, wrong := splitRow(nil, nil, bytes.TrimSuffix(row[:length], []byte("\r")), o.separator)
	if wrong != "" {
		return nil, 0, fmt.Errorf("%s: in the header, %s", path, wrong)
	}
	for i, c := range cells {
		name := string(c)
		if name == "" && len(cells) > 1 {
			return nil, 0, fmt.Errorf("%s: column %d has no name in the header; give names with columns = [...]", path, i+1)
		}
		if slices.Contains(names, name) {
			return nil, 0, fmt.Errorf("%s: the header names column %q twice", path, name)
		}
		names = append(names, name)
	}
	return names, end, nil
}

// formatOf tells the format from a path's ending.
func formatOf(path string) string {
	name := strings.ToLower(path)
	for _, ending := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, ending)
	}
	switch {
	case strings.HasSuffix(name, ".csv"):
		return "csv"
	case strings.HasSuffix(name, ".json"):
		return "json"
	}
	return "ndjson"
}

// identity names a file by what it is known by. Its path is taken as it is
// written in the configuration, whose folder may go by several names.
func identity(o *options, at string, first []byte) string {
	name := fmt.Sprintf("%s#%016x", o.address, flow.Hash(first))
	if !o.follow {
		if dir, ok := o.written[path.Dir(at)]; ok {
			at = path.Join(dir, path.Base(at))
		}
		name += "@" + at
	}
	return name
}
