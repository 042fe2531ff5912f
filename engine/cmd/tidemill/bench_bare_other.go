//go:build !linux

package main

import "errors"

// serveBare is there where the system is Linux.
func serveBare(string, string, int) error { return errors.New("a bare server runs on Linux only") }
