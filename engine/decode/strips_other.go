//go:build !amd64

package decode

import "unsafe"

// haveStrips says whether the functions below can run here.
func haveStrips() bool { return false }

func delimiters(*byte, int, int, *uint32, int) int {
	panic("BUG: strips where there are no vectors")
}

func sameBytes(unsafe.Pointer, *uint32, int, *stripLit) bool {
	panic("BUG: strips where there are no vectors")
}

func tokenRows(unsafe.Pointer, *uint32, *uint32, int, *uint32, int, *stripLit, int, *uint64, *uint8) (same, short bool) {
	panic("BUG: strips where there are no vectors")
}

func textRows(unsafe.Pointer, *uint32, *uint32, int, *uint32, int, *stripLit, int, *byte, *int32) (same bool, done int) {
	panic("BUG: strips where there are no vectors")
}
