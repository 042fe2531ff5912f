package decode

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
)

// This file is the second half of reading short numbers where the processor
// has vectors of 64 bytes. A plan then only finds where a number ends and
// leaves its bytes in the number's place in the column; when the block is
// through, eight rows of a column are checked and converted at once.
//
//	words  | -17.5,"t | 8.25,"da | 0 ...     the eight bytes at the number
//	spans  |    47    |    39    | 0 ...     8*length + 7; 0: nothing to convert
//
// The words of a column are its float64s; of one that nobody reads they are
// scratch, since its numbers must be numbers all the same.
//
// A word that is no short number is looked at alone. What turns out to be
// more than that (another value, a contradiction) makes the whole block be
// decoded again without tokens, so that rejects and their order are what they
// would have been; the decoder then does without for restBlocks blocks.

// restBlocks is how many blocks are decoded without tokens after one that
// turned out not to be made of short numbers.
const restBlocks = 64

// wholeSpan is the span of a number of eight bytes: the delimiter is out of the word.
const wholeSpan = 8*8 + 7

// tokens decides before a block whether numbers are left as tokens.
func (d *jsonDecoder) tokens(rows int) {
	if d.rest > 0 {
		d.rest--
	}
	use := d.vectors && d.rest == 0
	if use != d.plans.tokens {
		d.plans.drop()
		d.plans.tokens = use
	}
	for _, c := range d.cols {
		c.openTokens(use, rows)
	}
}

// openTokens makes a column ready for tokens, or for none.
func (c *column) openTokens(use bool, rows int) {
	c.words, c.spans = nil, c.spans[:0]
	if c.kind != kindFloat || !use {
		return
	}
	n := (rows + 7) &^ 7
	if cap(c.spans) < n {
		c.spans = make([]uint8, n)
	}
	c.spans = c.spans[:n]
	clear(c.spans)
	if !c.skip {
		c.words = arrow.Uint64Traits.CastFromBytes(arrow.Float64Traits.CastToBytes(c.f64))
		return
	}
	if cap(c.scratch) < n {
		c.scratch = make([]uint64, n)
	}
	c.words = c.scratch[:n]
}

// convert makes numbers of the tokens in the first rows rows; false when one
// of them is something else.
func (c *column) convert(rows int, by *inverses) bool {
	if len(c.spans) == 0 {
		return true
	}
	clear(c.spans[rows:])
	for at, end := 0, (rows+7)>>3; at < end; at++ {
		at += convertGroups(&c.words[8*at], &c.spans[8*at], end-at, by)
		if at == end {
			return true
		}
		for row := 8 * at; row < min(rows, 8*at+8); row++ {
			if c.spans[row] != 0 && !c.convertAlone(row) {
				return false
			}
		}
	}
	return true
}

// convertAlone does what convert does for one token, which may be a number of
// any form, or null.
func (c *column) convertAlone(row int) bool {
	var text [16]byte
	binary.LittleEndian.PutUint64(text[:], c.words[row])
	tok := text[:c.spans[row]>>3]
	if string(tok) == "null" {
		c.setNull(row)
		return true
	}
	s := scanner{s: tok}
	if len(tok) == 0 || tok[0] != '-' && tok[0]-'0' > 9 || s.number(0) != len(tok) {
		return false
	}
	v, ok := parseFloat(tok)
	if !ok {
		return false
	}
	if c.skip {
		c.spans[row] = 0
	} else {
		c.setFloat(row, v)
	}
	return true
}

// noToken says that row has no token to convert (any more).
func (c *column) noToken(row int) {
	if row < len(c.spans) {
		c.spans[row] = 0
	}
}

// token notes the number at p; -1 when it is longer than a word.
func (c *column) token(s *step, f *feed, p int) int {
	w := word(f.base, p)
	z := equal(w, s.delim)
	if z == 0 {
		if byteAt(f.base, p+8) != byte(s.delim) {
			return -1
		}
		c.words[f.row], c.spans[f.row] = w, wholeSpan
		return s.after(p, 8)
	}
	n := bits.TrailingZeros64(z)
	c.words[f.row], c.spans[f.row] = w, uint8(n)
	return s.after(p, n>>3)
}

// inverses are 10^-n in two parts: see inverse.
type inverses struct{ near, rest [8]float64 }

func newInverses() *inverses {
	t := &inverses{}
	for n := range t.near {
		by := inverseOf(int64(n))
		t.near[n], t.rest[n] = by.near, by.rest
	}
	return t
}
