//go:build !linux

package env

// Relax does nothing here.
func Relax() bool { return false }
