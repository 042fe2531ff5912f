package decode

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// haveStrips says whether the functions below can run here.
func haveStrips() bool {
	return haveVectors() && cpu.X86.HasAVX512VBMI2 && cpu.X86.HasPCLMULQDQ && cpu.X86.HasBMI1 && cpu.X86.HasBMI2 && cpu.X86.HasPOPCNT
}

// delimiters writes to out the positions, from first on, of the commas and closing braces outside of texts in
// n bytes at s, behind which 64 more can be read. It returns how many there are, or -1 when there are more than
// room, or more than 16 in 64 bytes. It is only a hint: an escaped quote misleads it. out has room for room and 16 more.
//
//go:noescape
func delimiters(s *byte, n, first int, out *uint32, room int) int

// sameBytes says whether the literal stands at each of the n positions in at from base.
//
//go:noescape
func sameBytes(base unsafe.Pointer, at *uint32, n int, lit *stripLit) bool

// textRows does what sameBytes does for the literals before texts, of length bytes with the quote, and copies the texts,
// each of which ends one byte before the next stride-th position of ends: those positions it leaves in to. Text i goes to
// data[offsets[i]:], and is followed by up to 16 bytes of anything. It stops at the first text that has more than 15
// bytes, or anything but plain ASCII, or does not end where it should, and returns how many came before; the literal
// of that one has been compared and its position is in to.
//
//go:noescape
func textRows(base unsafe.Pointer, from, to *uint32, n int, ends *uint32, stride int, lit *stripLit, length int, data *byte, offsets *int32) (same bool, done int)

// tokenRows does what sameBytes does for the literals before tokens, of length bytes, and stores the tokens, each of
// which ends at the next stride-th position of ends. Those positions it leaves in to. short says that all tokens have
// from 1 to 8 bytes; the spans of others are no spans.
//
//go:noescape
func tokenRows(base unsafe.Pointer, from, to *uint32, n int, ends *uint32, stride int, lit *stripLit, length int, words *uint64, spans *uint8) (same, short bool)
