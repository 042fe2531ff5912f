package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"
)

// ErrCorrupt says that bytes are not a snapshot as it was written: cut,
// damaged, or of a version that this program does not know.
var ErrCorrupt = errors.New("damaged table snapshot")

const (
	snapMagic   = "TMTB"
	snapVersion = 1
	flagFull    = 1
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// AppendTo appends the encoding of the snapshot, drawn in doc.go, to dst.
func (s *Snapshot) AppendTo(dst []byte) []byte {
	s.whole()
	dst = slices.Grow(dst, s.size())
	start := len(dst)
	le := binary.LittleEndian
	dst = append(dst, snapMagic...)
	flags := byte(0)
	if s.full {
		flags = flagFull
	}
	dst = append(dst, snapVersion, flags)
	dst = le.AppendUint16(dst, uint16(len(s.decl.Columns)))
	dst = le.AppendUint32(dst, uint32(len(s.slots)))
	dst = le.AppendUint32(dst, s.high)
	dst = appendText(dst, s.decl.Name)
	dst = appendText(dst, s.decl.Digest)
	for _, c := range s.decl.Columns {
		dst = append(dst, byte(c.Type))
		dst = le.AppendUint16(dst, uint16(c.width()))
		dst = appendText(dst, c.Name)
	}
	dst = appendWords(dst, s.slots)
	dst = append(dst, s.kinds...)
	dst = s.keys.appendTo(dst)
	for i, c := range s.decl.Columns {
		switch v := &s.cols[i]; c.Type {
		case F64:
			var to []byte
			dst, to = more(dst, 8*len(v.f64))
			for i, x := range v.f64 {
				le.PutUint64(to[8*i:], math.Float64bits(x))
			}
		case I64:
			var to []byte
			dst, to = more(dst, 8*len(v.i64))
			for i, x := range v.i64 {
				le.PutUint64(to[8*i:], uint64(x))
			}
		case U32:
			dst = appendWords(dst, v.u32)
		case Bytes:
			dst = v.raw.appendTo(dst)
		}
	}
	return le.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli()))
}

// size is at least how many bytes the encoding has: tables are large, and memory that grows in steps is copied at each.
func (s *Snapshot) size() int {
	const head, column = 64, 8
	rows := len(s.slots)
	n := head + len(s.decl.Name) + len(s.decl.Digest) + 5*rows + s.keys.size()
	for i, c := range s.decl.Columns {
		v := &s.cols[i]
		n += column + len(c.Name) + 8*len(v.f64) + 8*len(v.i64) + 4*len(v.u32)
		if c.Type == Bytes {
			n += v.raw.size()
		}
	}
	return n
}

// more extends dst by n bytes, which are returned as well.
func more(dst []byte, n int) (longer, added []byte) {
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	return dst, dst[at:]
}

func appendWords(dst []byte, words []uint32) []byte {
	dst, to := more(dst, 4*len(words))
	for i, x := range words {
		binary.LittleEndian.PutUint32(to[4*i:], x)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.LittleEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func (b *blob) appendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(b.data)))
	if len(b.offs) > 0 {
		var to []byte
		dst, to = more(dst, 4*(len(b.offs)-1))
		for i := range len(b.offs) - 1 {
			binary.LittleEndian.PutUint32(to[4*i:], uint32(b.offs[i+1]-b.offs[i]))
		}
	}
	return append(dst, b.data...)
}

// size is how many bytes appendTo appends.
func (b *blob) size() int { return 8 + 4*len(b.offs) + len(b.data) }

// DecodeSnapshot is the inverse of AppendTo. It takes memory in proportion to
// len(data), whatever the bytes claim, and copies what it keeps. Errors wrap ErrCorrupt.
func DecodeSnapshot(data []byte) (*Snapshot, error) {
	if len(data) < 4+len(snapMagic) || string(data[:4]) != snapMagic {
		return nil, fmt.Errorf("%w: it does not begin with %s", ErrCorrupt, snapMagic)
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if got := crc32.Checksum(body, castagnoli()); got != sum {
		return nil, fmt.Errorf("%w: its checksum is %08x, and %08x is written", ErrCorrupt, got, sum)
	}
	r := &reader{b: body[4:]}
	s, err := r.snapshot()
	if err == nil && len(r.b) > 0 {
		err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return s, nil
}

// reader takes values off the front of b; after the end it gives zeros and sets short.
type reader struct {
	b     []byte
	short bool
}

var errShort = errors.New("it ends too early")

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.short, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

func (r *reader) text() string { return string(r.take(uint64(r.u16()))) }

func (r *reader) snapshot() (*Snapshot, error) {
	if v := r.u8(); v != snapVersion {
		return nil, fmt.Errorf("it is of version %d, and this program knows version %d", v, snapVersion)
	}
	s := &Snapshot{full: r.u8()&flagFull != 0}
	columns, rows := int(r.u16()), uint64(r.u32())
	s.high = r.u32()
	s.decl.Name, s.decl.Digest = r.text(), r.text()
	for i := 0; i < columns && !r.short; i++ {
		c := Column{Type: Type(r.u8()), Width: int(r.u16())}
		c.Name = r.text()
		s.decl.Columns = append(s.decl.Columns, c)
	}
	if r.short {
		return nil, errShort
	}
	if err := checkDecl(s.decl); err != nil {
		return nil, err
	}
	s.slots = readWords[uint32](r, rows)
	s.kinds = append([]uint8(nil), r.take(rows)...)
	s.keys = r.blob(rows)
	for _, c := range s.decl.Columns {
		var v snapColumn
		switch n := rows * uint64(c.width()); c.Type {
		case F64:
			v.f64 = readWords[float64](r, n)
		case I64:
			v.i64 = readWords[int64](r, n)
		case U32:
			v.u32 = readWords[uint32](r, n)
		case Bytes:
			v.raw = r.blob(rows)
		}
		if r.short {
			return nil, errShort
		}
		s.cols = append(s.cols, v)
	}
	if r.short {
		return nil, errShort
	}
	return s, s.check()
}

// check refuses what Restore and Rows could not work with.
func (s *Snapshot) check() error {
	if s.high > hardMaxKeys {
		return fmt.Errorf("it claims %d slots", s.high)
	}
	for i, slot := range s.slots {
		if slot >= s.high || i > 0 && slot <= s.slots[i-1] {
			return fmt.Errorf("slot %d stands in the wrong place", slot)
		}
		if s.kinds[i] >= rowKinds {
			return fmt.Errorf("slot %d is of unknown kind %d", slot, s.kinds[i])
		}
		if n := s.keys.offs[i+1] - s.keys.offs[i]; n > maxKeyBytes || n > 0 && s.kinds[i] != rowKey {
			return fmt.Errorf("slot %d has a key of %d bytes", slot, n)
		}
	}
	return nil
}

func (r *reader) blob(rows uint64) blob {
	total := uint64(0)
	if v := r.take(8); v != nil {
		total = binary.LittleEndian.Uint64(v)
	}
	raw := r.take(rows * 4)
	data := r.take(total)
	if r.short {
		return blob{}
	}
	b := blob{offs: make([]int64, 1, rows+1), data: append([]byte(nil), data...)}
	sum := uint64(0)
	for ; len(raw) > 0; raw = raw[4:] {
		sum += uint64(binary.LittleEndian.Uint32(raw))
		if sum > total {
			r.short = true
			return blob{}
		}
		b.offs = append(b.offs, int64(sum))
	}
	if sum != total {
		r.short = true
	}
	return b
}

func readWords[T uint32 | int64 | float64](r *reader, n uint64) []T {
	var zero T
	size := uint64(unsafe.Sizeof(zero))
	raw := r.take(n * size)
	if r.short {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		switch p := any(&out[i]).(type) {
		case *uint32:
			*p = binary.LittleEndian.Uint32(raw[i*4:])
		case *int64:
			*p = int64(binary.LittleEndian.Uint64(raw[i*8:]))
		case *float64:
			*p = math.Float64frombits(binary.LittleEndian.Uint64(raw[i*8:]))
		}
	}
	return out
}
