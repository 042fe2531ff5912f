package splitmix

import (
	"math"
	"testing"
)

// TestNext draws what the generator of the paper draws: the numbers that are
// published for these seeds.
func TestNext(t *testing.T) {
	for seed, want := range map[Source][]uint64{
		0:       {16294208416658607535, 7960286522194355700, 487617019471545679, 17909611376780542444, 1961750202426094747},
		1234567: {6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821},
	} {
		s := seed
		for i, w := range want {
			if got := s.Next(); got != w {
				t.Errorf("number %d of seed %d: %d; want %d", i, seed, got, w)
			}
		}
	}
}

// TestUnit begins where the next 64 bits are all set, and where none is: the ends of the interval.
func TestUnit(t *testing.T) {
	for _, tt := range []struct {
		seed Source
		bits uint64
		want float64
	}{
		{0x31628af67b2131ab, math.MaxUint64, 1 - 0x1p-53},
		{0x61c8864680b583eb, 0, 0x1p-54},
		{0, 16294208416658607535, 0x1.c4415072f63bap-1},
	} {
		bits, unit := tt.seed, tt.seed
		if got := bits.Next(); got != tt.bits {
			t.Errorf("seed %#x gives %#x; want %#x", uint64(tt.seed), got, tt.bits)
		}
		if got := unit.Unit(); got != tt.want {
			t.Errorf("seed %#x gives %v; want %v", uint64(tt.seed), got, tt.want)
		}
	}
}
