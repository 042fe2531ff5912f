//go:build !linux

package mqtt

// Other systems have no sweeper, so that connections stay package net's.
func (s *sock) attach()   {}
func closeBare(int) error { return nil }
