package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tidemill/tidemill/engine/env"
)

// How much of a file is read at a time to find headers, bytes.
const (
	searchWidth = 64 << 10 // between small blocks, and when lost
	jumpWidth   = 512      // between large blocks
)

// scanner finds the blocks of one segment by their headers, in order. Where
// no header lies, it searches for the next.
type scanner struct {
	file   env.File
	seg    *segment
	at     int64 // where the next header should be
	end    int64
	seq    uint64 // of the last block found
	window []byte
	from   int64 // where the window starts in the file
	width  int
}

// found is a block's header and what lay before it.
type found struct {
	header
	at    int64
	short bool // the file ends before the block does
	// lost and lostTo bound what was unreadable before the block; both 0: nothing.
	lost, lostTo int64
}

func newScanner(file env.File, seg *segment, at, end int64) *scanner {
	return &scanner{file: file, seg: seg, at: at, end: end, width: searchWidth}
}

// next returns the next header. ok is false at the end; then lost and lostTo
// bound what was unreadable there.
func (s *scanner) next() (f found, ok bool, err error) {
	if s.at >= s.end {
		return found{}, false, nil
	}
	b, err := s.peek(s.at, headerSize)
	if err != nil {
		return found{}, false, err
	}
	h, ok := decodeHeader(b, s.seg.id, s.at)
	if !ok {
		f.lost = s.at
		if f.lostTo, h, err = s.search(s.at + 1); err != nil {
			return found{}, false, err
		}
		s.at = f.lostTo
		if s.at >= s.end {
			return f, false, nil
		}
	}
	f.header, f.at = h, s.at
	f.short = s.at+h.size() > s.end
	s.at = min(s.end, s.at+h.size())
	s.seq = h.seq
	s.width = jumpWidth
	if h.size() < searchWidth/4 {
		s.width = searchWidth
	}
	return f, true, nil
}

// search returns where the next header lies, or the end.
func (s *scanner) search(from int64) (int64, header, error) {
	var mark [4]byte
	binary.LittleEndian.PutUint32(mark[:], magic)
	s.width = searchWidth
	for at := from; at < s.end; {
		b, err := s.peek(at, searchWidth)
		if err != nil {
			return 0, header{}, err
		}
		i := bytes.Index(b, mark[:])
		switch {
		case i < 0 && at+int64(len(b)) >= s.end, i >= 0 && s.end-at-int64(i) < headerSize:
			return s.end, header{}, nil
		case i < 0:
			at += int64(len(b)) - 3
			continue
		}
		at += int64(i)
		if b, err = s.peek(at, headerSize); err != nil {
			return 0, header{}, err
		}
		if h, ok := decodeHeader(b, s.seg.id, at); ok {
			return at, h, nil
		}
		at++
	}
	return s.end, header{}, nil
}

// peek returns the n bytes at a place, or those that there are before the end.
func (s *scanner) peek(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), s.end-at))
	if at >= s.from && at+int64(n) <= s.from+int64(len(s.window)) {
		return s.window[at-s.from:][:n], nil
	}
	size := min(int64(max(n, s.width)), s.end-at)
	if int64(cap(s.window)) < size {
		s.window = make([]byte, size)
	}
	s.from, s.window = at, s.window[:size]
	got, err := s.read(s.window, at)
	s.window = s.window[:got]
	return s.window[:min(n, got)], err
}

// read fills b from a place in the file. A file that has become shorter than
// it was gives less, which is then found to be damaged.
func (s *scanner) read(b []byte, at int64) (int, error) {
	n, err := s.file.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("journal: %s at byte %d: %w", s.seg.name, at, err)
	}
	return n, nil
}

// load reads and checks a block that next found. The error damaged says what
// is wrong with it; err is that the file cannot be read.
func (s *scanner) load(f *found, p *pool, partitions int) (m *memory, damaged, err error) {
	if f.short {
		return nil, errors.New("the file ends in the middle of the block"), nil
	}
	size := int(f.size())
	m = p.get(size + Slack)
	m.buf = m.buf[:size]
	if got := f.at - s.from; got >= 0 && got+int64(size) <= int64(len(s.window)) {
		copy(m.buf, s.window[got:])
	} else if n, err := s.read(m.buf, f.at); err != nil || n < size {
		m.block.Release()
		return nil, errors.New("the file ends in the middle of the block"), err
	}
	m.head, m.segment, m.at = f.header, s.seg, f.at
	if bodyCRC(m.buf[headerSize:]) != f.bodyCRC {
		m.block.Release()
		return nil, errors.New("the checksum of its body is wrong"), nil
	}
	damaged = m.unpad()
	switch {
	case damaged != nil:
	case f.kind == Records:
		damaged = m.decodeRecords()
	case f.kind == Tick || f.kind == End || f.kind == Note:
		damaged = m.decodeControl(partitions)
	case f.kind != kindHead && f.kind != kindMarks:
		damaged = errMeta
	}
	if damaged != nil {
		m.block.Release()
		return nil, damaged, nil
	}
	return m, nil, nil
}
