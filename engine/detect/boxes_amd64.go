package detect

import "golang.org/x/sys/cpu"

// haveGathers says whether boxGap can run here.
func haveGathers() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX2 }

// boxGap does what plainGap does, to the bit. face has 2 * dims slots, and vals dims
// values for each slot that occurs in face.
//
//go:noescape
func boxGap(face *uint8, vals, x *float32, dims int) (total, gap float32)
