package journal

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestPadding: a block ends where a page does, wherever it begins and however long it is, and what it says is found
// again. A length of padding that cannot be makes no sense.
func TestPadding(t *testing.T) {
	p := newPool(1<<20, 1<<20)
	body := bytes.Repeat([]byte{7}, 3000)
	for n := range env.DirectPage {
		m := p.get(headerSize + len(body))
		m.buf = append(m.buf[:headerSize], body...)
		m.head = header{payload: 1000, meta: 2000}
		at := int64(5*env.DirectPage + n)
		m.fillPage(p, at)
		padding := int(m.head.size()) - headerSize - len(body)
		if len(m.buf) != int(m.head.size()) || (at+m.head.size())%env.DirectPage != 0 || padding == 1 || padding > env.DirectPage+1 {
			t.Fatalf("at %d: %d bytes, of which %d are a padding, in a buffer of %d", at, m.head.size(), padding, len(m.buf))
		}
		if err := m.unpad(); err != nil || !bytes.Equal(m.meta(), body[1000:]) {
			t.Fatalf("at %d: %v, %d bytes of metadata", at, err, len(m.meta()))
		}
		if padding > 0 {
			for _, wrong := range []int{0, 1, int(m.head.meta) + 1, 1<<16 - 1} {
				binary.LittleEndian.PutUint16(m.buf[len(m.buf)-2:], uint16(wrong))
				if m.unpad() == nil {
					t.Fatalf("at %d: a padding of %d bytes in %d bytes of metadata", at, wrong, m.head.meta)
				}
			}
		}
		m.block.Release()
	}
	m := p.get(headerSize)
	m.buf, m.head = m.buf[:headerSize+1], header{meta: 1, flags: flagPadded}
	if m.unpad() == nil {
		t.Error("a padding without room for its length")
	}
	m.block.Release()
}
