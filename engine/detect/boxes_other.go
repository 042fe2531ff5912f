//go:build !amd64

package detect

// haveGathers says whether boxGap can run here.
func haveGathers() bool { return false }

func boxGap(*uint8, *float32, *float32, int) (total, gap float32) {
	panic("BUG: a gather where there are no vectors")
}
