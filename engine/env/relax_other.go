//go:build !linux

package env

// Relax does nothing here.
func Relax() bool { return false }

// GiveBack would give memory back to the system; here it stays.
func GiveBack([]byte) error { return nil }

// HugePages would ask for larger pages of memory; here they are as large as they are.
func HugePages([]byte) error { return nil }
