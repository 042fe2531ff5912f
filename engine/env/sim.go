package env

import (
	"math/rand/v2"
	"sort"
	"sync"
	"time"
)

// Sim is a machine that a seed drives. Its clock stands still until Advance
// moves it; its disk forgets at Crash what was not synced; any operation of its
// file system can be made to fail. Two simulations with the same seed and the
// same calls do the same. Safe for concurrent use.
//
// Process and machine are told apart: Kill ends the process and keeps the
// page cache, Crash cuts the power. After either, files and timers of the process
// before are dead (ErrCrashed), and Env serves the process after.
type Sim struct {
	mu      sync.Mutex
	rng     *rand.Rand
	now     time.Time
	timers  []*timer
	timerID int
	life    int  // counts processes; files and timers belong to one
	down    bool // set by a fault with Crash, until Crash or Kill
	vars    map[string]string
	points  map[string]int
	onPoint func(string)

	dirs   map[string]*simDir
	faults []*Fault
	ops    int
	limit  int64 // size of the disk in bytes; 0: no limit
	used   int64

	spare      [][]byte // memory of files that are gone
	spareBytes int
}

type timer struct {
	at time.Time
	id int // ties are broken by order of creation
	f  func()
}

// NewSim returns a machine with an empty disk, at noon on 2026-01-01 UTC.
func NewSim(seed uint64) *Sim {
	return &Sim{
		rng:    rand.New(rand.NewPCG(seed, 0x7469646d696c6c)),
		now:    time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
		vars:   map[string]string{},
		points: map[string]int{},
		dirs:   map[string]*simDir{"/": newSimDir()},
	}
}

// Env returns the machine as a process sees it.
func (s *Sim) Env() *Env {
	return &Env{Clock: simClock{s}, FS: simFS{s}, Var: s.lookup, Point: s.point}
}

// Setenv sets an environment variable.
func (s *Sim) Setenv(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vars[name] = value
}

func (s *Sim) lookup(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.vars[name]
	return value, ok
}

// OnPoint sets what is called at each Point, after it is counted. It may panic
// with ErrCrashed, and must if it calls Crash or Kill.
func (s *Sim) OnPoint(f func(name string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onPoint = f
}

// Points returns how often each point was come to.
func (s *Sim) Points() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.points))
	for name, n := range s.points {
		out[name] = n
	}
	return out
}

func (s *Sim) point(name string) {
	s.mu.Lock()
	s.points[name]++
	f := s.onPoint
	s.mu.Unlock()
	if f != nil {
		f(name)
	}
}

// Advance moves the clock on by d and runs, on the caller's goroutine, the
// timers that come due on the way, in order of time; each sees its own time.
func (s *Sim) Advance(d time.Duration) {
	s.mu.Lock()
	end := s.now.Add(d)
	for len(s.timers) > 0 && !s.timers[0].at.After(end) {
		t := s.timers[0]
		s.timers = s.timers[1:]
		if t.at.After(s.now) {
			s.now = t.at
		}
		s.mu.Unlock()
		t.f()
		s.mu.Lock()
	}
	if end.After(s.now) {
		s.now = end
	}
	s.mu.Unlock()
}

// Jump sets the clock, forwards or back, as an operator or a bad time server
// would. Timers keep their distance from now.
func (s *Sim) Jump(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
	for _, t := range s.timers {
		t.at = t.at.Add(d)
	}
}

// NextTimer returns how long it is until the next timer is due; ok is false
// when none is set.
func (s *Sim) NextTimer() (d time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.timers) == 0 {
		return 0, false
	}
	return max(0, s.timers[0].at.Sub(s.now)), true
}

type simClock struct{ s *Sim }

func (c simClock) Now() time.Time {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.now
}

func (c simClock) After(d time.Duration, f func()) func() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerID++
	t := &timer{at: s.now.Add(max(0, d)), id: s.timerID, f: f}
	i := sort.Search(len(s.timers), func(i int) bool { return s.timers[i].at.After(t.at) })
	s.timers = append(s.timers, nil)
	copy(s.timers[i+1:], s.timers[i:])
	s.timers[i] = t
	return func() { s.stop(t.id) }
}

func (s *Sim) stop(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.timers {
		if t.id == id {
			s.timers = append(s.timers[:i], s.timers[i+1:]...)
			return
		}
	}
}
