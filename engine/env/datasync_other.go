//go:build !linux

package env

import "os"

func datasync(f *os.File) error { return f.Sync() }
