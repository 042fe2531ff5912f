package journal

import "encoding/binary"

// cursor reads numbers and texts off a byte slice. After the first that is not
// there, bad is set and everything reads as zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// text reads a length of 16 bits and that many bytes.
func (c *cursor) text() string { return string(c.take(int(c.u16()))) }

// list reads how many things follow, of at least each bytes, and checks that
// so many can be there before anything is allocated for them.
func (c *cursor) list(each int) int {
	n := int(c.u32())
	if n > len(c.b)/each {
		c.bad, c.b = true, nil
		return 0
	}
	return n
}

func (c *cursor) u64s(n int) []uint64 {
	if n > len(c.b)/8 {
		c.bad, c.b = true, nil
		return nil
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = c.u64()
	}
	return out
}

func putText(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func putU64s(b []byte, list []uint64) []byte {
	for _, n := range list {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}
