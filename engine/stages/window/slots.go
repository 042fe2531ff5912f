package window

import "unsafe"

// sumWords are those of a pane up to a sum of floats that stands first.
const sumWords = metaWords + 3

// slots is words as those of slots of a width, so that the sum in one is found with a single comparison. A slice of a slice that is made an
// array takes a comparison, a subtraction and a mask more, and the registers for them.
type slots struct {
	base unsafe.Pointer
	n    uint32
	size uintptr
}

// slotsOf returns words as slots, good as long as the words stay where they are.
func slotsOf(words []int64, width int) slots {
	return slots{unsafe.Pointer(unsafe.SliceData(words)), uint32(len(words) / width), uintptr(width) * 8}
}

// sum is the words of slot p up to a sum that stands first. A slot must have as many.
func (s slots) sum(p uint32) *[sumWords]int64 {
	if p >= s.n {
		panic("BUG: a slot that is beyond the last")
	}
	return (*[sumWords]int64)(unsafe.Add(s.base, uintptr(p)*s.size))
}

// meta is the words of slot p that each pane begins with.
func (s slots) meta(p uint32) *[metaWords]int64 {
	if p >= s.n {
		panic("BUG: a slot that is beyond the last")
	}
	return (*[metaWords]int64)(unsafe.Add(s.base, uintptr(p)*s.size))
}

// sumAt is the words of a sum of floats that stands at word at of slot p. A slot must have as many.
func (s slots) sumAt(p uint32, at int) *[3]int64 {
	if p >= s.n {
		panic("BUG: a slot that is beyond the last")
	}
	return (*[3]int64)(unsafe.Add(s.base, uintptr(p)*s.size+uintptr(at)*8))
}

// last is the last word of slot p.
func (s slots) last(p uint32) *int64 {
	if p >= s.n {
		panic("BUG: a slot that is beyond the last")
	}
	return (*int64)(unsafe.Add(s.base, uintptr(p)*s.size+s.size-8))
}

// What a pane, a prefix with the word of its ring, and a suffix are where a sum of floats is all that there is.
type (
	sumPane   [sumWords]int64
	sumPrefix [sumWords + 1]int64
	sumSuffix [linkWords + 3]int64
)

// wordsAs returns words as arrays of them, whose length the compiler knows: a slot is found without a multiplication by what is in a register.
func wordsAs[T sumPane | sumPrefix | sumSuffix](words []int64) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8/int(unsafe.Sizeof(*new(T))))
}
