package parquet

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Encodings, by their numbers in the format.
const (
	encPlain       = 0
	encRLE         = 3
	encDelta       = 5
	encDeltaLength = 6
	encDictionary  = 8
	encStreamSplit = 9
)

// Physical types, by their numbers in the format.
const (
	typeBool      = 0
	typeInt32     = 1
	typeInt64     = 2
	typeDouble    = 5
	typeByteArray = 6
)

// bitWidth is how many bits the values up to v need.
func bitWidth(v uint64) int { return bits.Len64(v) }

// appendPacked packs values of width bits, low bits first; len(values) is a
// multiple of 8 (Parquet format, Encodings.md, "bit-packed").
func appendPacked(dst []byte, values []uint64, width int) []byte {
	if width == 0 {
		return dst
	}
	var word uint64
	have := 0
	for _, v := range values {
		word |= v << have
		have += width
		if have >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
			have -= 64
			word = 0
			if have > 0 {
				word = v >> (width - have)
			}
		}
	}
	for ; have > 0; have -= 8 {
		dst = append(dst, byte(word))
		word >>= 8
	}
	return dst
}

// Shape of DELTA_BINARY_PACKED: blocks of 256 in four parts, each of its own width.
const (
	deltaBlock = 256
	deltaParts = 4
	deltaPart  = deltaBlock / deltaParts
)

// appendDelta encodes integers as DELTA_BINARY_PACKED (Parquet format, Encodings.md).
// Differences wrap around, as readers' sums do. of32 says that the column is one
// of INT32, whose differences wrap at 32 bits.
func appendDelta(dst []byte, values []int64, of32 bool) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaParts)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	if len(values) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, values[0])
	var block [deltaBlock]uint64
	before := values[0]
	for rest := values[1:]; len(rest) > 0; {
		n := min(deltaBlock, len(rest))
		least := int64(math.MaxInt64)
		for i, v := range rest[:n] {
			d := v - before
			if of32 {
				d = int64(int32(d))
			}
			before = v
			block[i] = uint64(d)
			least = min(least, d)
		}
		rest = rest[n:]
		clear(block[n:])
		dst = binary.AppendVarint(dst, least)
		dst = appendDeltaParts(dst, &block, n, uint64(least), of32)
	}
	return dst
}

func appendDeltaParts(dst []byte, block *[deltaBlock]uint64, n int, least uint64, of32 bool) []byte {
	widths := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for p := range deltaParts {
		from, to := p*deltaPart, min((p+1)*deltaPart, n)
		if from >= n {
			break // the width of a part without values is 0, and its bytes are left out
		}
		var all uint64
		for i := from; i < to; i++ {
			block[i] -= least
			if of32 {
				block[i] &= math.MaxUint32
			}
			all |= block[i]
		}
		w := bitWidth(all)
		dst[widths+p] = byte(w)
		dst = appendPacked(dst, block[from:from+deltaPart], w)
	}
	return dst
}

// appendHybrid encodes numbers of width bits in the RLE and bit-packing hybrid
// (Parquet format, Encodings.md, "RLE"): runs of at least 16 equal ones as a run, the rest packed
// in groups of eight.
func appendHybrid(dst []byte, values []uint32, width int) []byte {
	const leastRun = 16
	for at := 0; at < len(values); {
		// A run, or how far it is to the next one worth it.
		if n := runAt(values, at); n >= leastRun || at+n == len(values) {
			dst = appendRun(dst, values[at], n, width)
			at += n
			continue
		}
		end := at
		for end < len(values) {
			n := runAt(values, end)
			aligned := (end - at) % 8
			if n >= leastRun+8 && (aligned == 0 || n-(8-aligned) >= leastRun) {
				if aligned > 0 {
					end += 8 - aligned
				}
				break
			}
			end += n
		}
		end = min(end, len(values))
		dst = appendGroups(dst, values[at:end], width)
		at = end
	}
	return dst
}

// runAt counts the equal values from at on.
func runAt(values []uint32, at int) int {
	v, n := values[at], 1
	for at+n < len(values) && values[at+n] == v {
		n++
	}
	return n
}

func appendRun(dst []byte, v uint32, n, width int) []byte {
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	for ; width > 0; width -= 8 {
		dst = append(dst, byte(v))
		v >>= 8
	}
	return dst
}

func appendGroups(dst []byte, values []uint32, width int) []byte {
	groups := (len(values) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	var part [64]uint64
	for len(values) > 0 {
		n := min(len(part), len(values))
		for i, v := range values[:n] {
			part[i] = uint64(v)
		}
		whole := (n + 7) &^ 7
		clear(part[n:whole])
		dst = appendPacked(dst, part[:whole], width)
		values = values[n:]
	}
	return dst
}

// appendStreamSplit encodes doubles as BYTE_STREAM_SPLIT: first bytes of all, second bytes of all...
func appendStreamSplit(dst []byte, values []float64) []byte {
	n := len(values)
	at := len(dst)
	dst = append(dst, make([]byte, 8*n)...)
	b := dst[at:]
	b0, b1, b2, b3 := b[:n], b[n:2*n], b[2*n:3*n], b[3*n:4*n]
	b4, b5, b6, b7 := b[4*n:5*n], b[5*n:6*n], b[6*n:7*n], b[7*n:8*n]
	for i, v := range values {
		x := math.Float64bits(v)
		b0[i], b1[i], b2[i], b3[i] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
		b4[i], b5[i], b6[i], b7[i] = byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56)
	}
	return dst
}
