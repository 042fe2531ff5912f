//go:build !unix

package main

// terminalSize is not known here.
func terminalSize() (columns, rows int, ok bool) { return 0, 0, false }
