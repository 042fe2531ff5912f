//go:build !linux

package mqtt

import "time"

// sweeper is what other systems do without: each connection keeps a goroutine.
type sweeper struct {
	s *Server
	places
	sweep
	now   time.Time
	nowUS int64
}

func newSweeper(*Server) *sweeper { return nil }
func (w *sweeper) run()           {}
func (w *sweeper) stop()          {}
func (w *sweeper) add(*conn) bool { return false }
func (w *sweeper) ask(*conn)      {}
func (w *sweeper) release(*conn)  {}
