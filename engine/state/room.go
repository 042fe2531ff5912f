package state

import (
	"unsafe"

	"github.com/tidemill/tidemill/engine/env"
)

const (
	// largeBytes is from where on room in a slice that nothing has come to takes no memory.
	largeBytes = 4 << 20
	// movedBytes of a large slice are copied, and then given back where they were.
	movedBytes = 1 << 20
	// pageBytes is a page of any system, or several.
	pageBytes = 64 << 10
)

// Larger returns a slice of n elements or more that begins with those of old and goes on with zeros. T has no pointers. Old has to be
// all of a slice, and is of no use any more: what it holds is gone.
//
// What is large goes to its new place a piece at a time, and what a piece leaves is given back to the system, which gives it out again for the
// next one. So a table of a gigabyte that grows takes a megabyte more, and not two gigabytes until a collection. It is time as well: a page that a
// virtual machine has not had before costs 13 us, while its host looks for one, and one that was just given back 1 or 2. What is
// moved gets huge pages: keys that come are all over a table, and a processor would wait for a page's address and then for the key.
func Larger[T any](old []T, n int) []T {
	s := make([]T, n)
	if !large[T](n) {
		copy(s, old)
		clear(old) // whoever still reads it is found out in tables of any size
		return s
	}
	from, to := memoryOf(old), memoryOf(s)
	_ = env.HugePages(to[:len(from)&^(pageBytes-1)])
	giveBack(to) // what was in use before has been cleared, and so touched
	for lo := 0; lo < len(from); lo += movedBytes {
		piece := from[lo:min(len(from), lo+movedBytes)]
		copy(to[lo:], piece)
		giveBack(piece)
	}
	return s
}

// large tells whether n elements are.
func large[T any](n int) bool { return n*int(unsafe.Sizeof(*new(T))) >= largeBytes }

// Held is how many bytes of memory there are behind a slice that Larger has made, of which the first n elements have been in use.
func Held[T any](s []T, n int) int64 {
	if large[T](len(s)) {
		s = s[:min(n, len(s))]
	}
	return int64(len(s)) * int64(unsafe.Sizeof(*new(T)))
}

func memoryOf[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// giveBack lets go of the memory behind whole pages of b. It is advice: where the system does not take it, what was there stays.
func giveBack(b []byte) { _ = env.GiveBack(b[:len(b)&^(pageBytes-1)]) }
