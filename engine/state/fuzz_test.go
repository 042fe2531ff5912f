package state

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// FuzzDecodeSnapshot sends any bytes, with a right checksum put behind them,
// through decoding, restoring and showing: errors, never a panic.
func FuzzDecodeSnapshot(f *testing.F) {
	tab := New(testDecl())
	tab.SetBytes(3, mustSlot(f, tab, []byte("a")), []byte("value"))
	mustSlot(f, tab, nil)
	full := tab.Snapshot(true).AppendTo(nil)
	tab.Delete(0)
	delta := tab.Snapshot(false).AppendTo(nil)
	f.Add(full[:len(full)-4])
	f.Add(delta[:len(delta)-4])
	f.Fuzz(func(t *testing.T, data []byte) {
		data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli()))
		s, err := DecodeSnapshot(data)
		if err != nil {
			return
		}
		s.Rows().Release()
		d := s.Decl()
		d.MaxKeys = 1 << 12
		if again, err := Restore(d, s); err == nil && again.Len() > s.Len() {
			t.Fatal("more slots than rows")
		}
	})
}
