package decode

import "golang.org/x/sys/cpu"

// haveVectors says whether convertGroups can run here.
func haveVectors() bool {
	x := &cpu.X86
	return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512CD && x.HasAVX512VL
}

// convertGroups converts tokens of eight rows at a time in place, words to the
// bits of a float64, until a group holds a token that is no number of digits
// with at most one point between them. It returns how many groups it has done; words and
// spans have 8*groups elements. The file tokens_amd64.s tells how.
//
//go:noescape
func convertGroups(words *uint64, spans *uint8, groups int, by *inverses) int
