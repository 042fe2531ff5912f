package decode

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// TestTokens holds numbers converted eight at a time against the general way:
// random texts of what numbers are made of, most of them nearly numbers.
func TestTokens(t *testing.T) {
	if !haveVectors() {
		t.Skip("this processor has no vectors of 64 bytes")
	}
	random := rand.New(rand.NewPCG(1, 2))
	by, taken, refused := newInverses(), 0, 0
	for range 200_000 {
		var words [8]uint64
		var spans [8]uint8
		var texts [8]string
		for i := range words {
			if random.IntN(16) == 0 {
				words[i] = random.Uint64()
				continue // no token
			}
			text := nearlyNumber(random)
			var b [16]byte
			copy(b[:], text)
			b[len(text)] = ','
			for k := len(text) + 1; k < 8; k++ {
				b[k] = byte(random.Uint32())
			}
			texts[i], words[i], spans[i] = text, binary.LittleEndian.Uint64(b[:]), uint8(8*len(text)+7)
		}
		before := words
		ok := convertGroups(&words[0], &spans[0], 1, by) == 1
		good := true
		for i, text := range texts {
			if spans[i] == 0 {
				if words[i] != before[i] {
					t.Fatalf("a word without a token was changed")
				}
				continue
			}
			want, is := plainNumber(text)
			good = good && is
			if ok && math.Float64bits(want) != words[i] {
				t.Fatalf("%q is %v, not %v", text, math.Float64frombits(words[i]), want)
			}
		}
		if ok != good {
			t.Fatalf("%q: taken %v, should be %v", texts, ok, good)
		}
		if ok {
			taken++
		} else {
			refused++
		}
	}
	if taken < 1000 || refused < 1000 {
		t.Errorf("%d groups taken, %d refused: not a test of both", taken, refused)
	}
}

// nearlyNumber makes a text of 1 to 8 bytes.
func nearlyNumber(random *rand.Rand) string {
	digits := func(b []byte, n int) []byte {
		for range n {
			b = append(b, byte('0'+random.IntN(10)))
		}
		return b
	}
	var b []byte
	if random.IntN(3) == 0 {
		b = append(b, '-')
	}
	b = digits(b, 1+random.IntN(4))
	if random.IntN(2) == 0 {
		b = digits(append(b, '.'), 1+random.IntN(4))
	}
	if len(b) > 8 {
		b = b[:8]
	}
	if random.IntN(60) == 0 {
		b[random.IntN(len(b))] = "-.0e+ n\x00\xff"[random.IntN(9)]
	}
	return string(b)
}

// plainNumber is what a token must be: a JSON number without an exponent.
func plainNumber(text string) (float64, bool) {
	tok := []byte(text)
	s := scanner{s: tok}
	if tok[0] != '-' && tok[0]-'0' > 9 || s.number(0) != len(tok) {
		return 0, false
	}
	for _, c := range tok {
		if c|0x20 == 'e' {
			return 0, false
		}
	}
	return parseFloat(tok)
}

// TestTokensThatAreNone: what looks like a short number from outside and is
// something else gives what the general way gives, and so do the rows around it.
func TestTokensThatAreNone(t *testing.T) {
	for _, value := range []string{"null", "1e3", "-1E-2", "12.", ".5", "01", "-", "+1", `"7"`, "true", "[1]", "{}", "x", "1 2", "-0", "0", "99999999", "1.234567", "-1.23456"} {
		for at := range 20 {
			var records []string
			for i := range 20 {
				v, w := "4.25", "-2"
				switch i {
				case at:
					v = value
				case at - 3:
					w = value
				}
				records = append(records, `{"a":1.5,"b":`+v+`,"c":`+w+`,"d":"x"}`)
			}
			everyWay(t, Config{Fields: parseFields(t, "a:number b:number c:number! d:string e:number")}, records...)
		}
	}
}
