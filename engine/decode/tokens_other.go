//go:build !amd64

package decode

// haveVectors says whether convertGroups can run here.
func haveVectors() bool { return false }

func convertGroups(*uint64, *uint8, int, *inverses) int {
	panic("BUG: tokens where there are no vectors")
}
