package mqtt

import (
	"errors"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/tidemill/tidemill/engine/env"
)

// sweeper reads many connections with one goroutine, as the kernel says which of
// them have something: epoll(7), edge-triggered, since the kernel would else look at each of them once more when it has nothing
// left. doc.go says when.
type sweeper struct {
	s *Server
	places
	epoll int
	watch *env.Watched // of the same
	bell  [2]int       // a pipe that wakes it

	// Of its goroutine.
	sweep
	events [512]syscall.EpollEvent
	came   int // of events
	due    [512]*conn
	warm   int // of no meaning: it keeps what meet reads from being left out
	failed error
	look   func(fd uintptr) bool // takes events, bound once
	now    time.Time
	nowUS  int64
	looked time.Time // for connections that keep silent
}

const bellSlot = -1

const (
	edge = 1 << 31 // EPOLLET, which package syscall has as a negative number
	over = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
)

// newSweeper returns nil where the system has no room for one: then each
// connection keeps a goroutine.
func newSweeper(s *Server) *sweeper {
	w := &sweeper{s: s}
	var err error
	if w.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil
	}
	if syscall.SetNonblock(w.epoll, true) != nil || syscall.Pipe2(w.bell[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK) != nil {
		syscall.Close(w.epoll)
		return nil
	}
	if w.watch, err = env.Watch(w.epoll, "epoll"); err != nil {
		w.close()
		return nil
	}
	w.look = w.takeEvents
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: bellSlot}
	if err = syscall.EpollCtl(w.epoll, syscall.EPOLL_CTL_ADD, w.bell[0], &e); err != nil {
		w.close()
		return nil
	}
	w.arena, w.packet = make([]byte, sweepArena), &Packet{}
	return w
}

func (w *sweeper) close() {
	w.watch.Close() // nothing was written to it
	syscall.Close(w.bell[0])
	syscall.Close(w.bell[1])
}

// run sweeps until stop.
func (w *sweeper) run() {
	defer w.s.sweeping.Done()
	defer w.close()
	for {
		w.await()
		w.now = w.s.o.Env.Clock.Now()
		w.nowUS = w.now.UnixMicro()
		w.meet()
		for i := range w.came {
			e := &w.events[i]
			if e.Fd == bellSlot {
				w.hush()
				continue
			}
			if w.low() {
				w.flush()
			}
			if c := w.find(e.Fd, e.Pad); c != nil {
				c.sock.over = e.Events&over != 0
				w.visit(c)
			}
		}
		more := w.errands()
		w.flush()
		if !more {
			if len(w.leaving) > 0 {
				panic("BUG: a sweeper ends before its connections")
			}
			return
		}
	}
}

// meet touches the connections that events are meant for. Most of what is known of a connection has left the processor's
// caches since it last had something: one thing of each at a time, the processor waits for many at once, where
// visits would wait for each thing of each connection.
func (w *sweeper) meet() {
	due := w.due[:0]
	w.mu.Lock()
	for i := range w.came {
		if e := &w.events[i]; e.Fd != bellSlot {
			if c := w.at(e.Fd, e.Pad); c != nil {
				due = append(due, c)
			}
		}
	}
	w.mu.Unlock()
	warm := 0
	for _, c := range due {
		warm += int(c.v) + len(c.acks) + int(c.settled) + c.near()
	}
	for _, c := range due {
		if warm += int(c.sock.quiet); c.sock.swept && c.last != nil {
			warm += int(c.last.memo)
		}
	}
	w.warm = warm
}

// await waits for events, or until it is time for errands. The runtime's poller waits, in place of a thread
// that epoll_wait would take.
func (w *sweeper) await() {
	w.came = 0
	var late bool
	var err error
	if len(w.leaving) > 0 || w.s.dirty.crowded.Load() && runtime.GOMAXPROCS(0) == 1 {
		runtime.Gosched() // those who have just got a goroutine, or a writer
		w.takeEvents(uintptr(w.epoll))
	} else if late, err = w.watch.Until(w.look); late {
		w.looked = time.Time{}
	}
	if err = errors.Join(err, w.failed); err != nil {
		panic("BUG: a sweeper cannot wait: " + err.Error())
	}
}

// takeEvents asks the kernel without waiting; false: there is nothing, and the runtime's poller is to wait.
func (w *sweeper) takeEvents(fd uintptr) bool {
	n, err := eventsNow(int(fd), w.events[:])
	for err == syscall.EINTR {
		n, err = eventsNow(int(fd), w.events[:])
	}
	w.came, w.failed = max(n, 0), err
	return n != 0
}

// eventsNow is epoll_wait that does not wait. The runtime is not told of it: that would wake its watch over system calls.
func eventsNow(epoll int, into []syscall.EpollEvent) (int, error) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)), 0, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}

// errands lets those go that were asked to, or have kept silent for too long;
// false when it is to stop.
func (w *sweeper) errands() bool {
	w.mu.Lock()
	asked, stop := w.asked, w.closed
	w.asked = nil
	w.mu.Unlock()
	for _, c := range asked {
		w.release(c)
	}
	if w.now.Sub(w.looked) >= sweepPause*time.Millisecond {
		w.looked = w.now
		if err := w.watch.Deadline(w.now.Add(sweepPause * time.Millisecond)); err != nil {
			panic("BUG: a sweeper has no deadline: " + err.Error())
		}
		for _, c := range w.late(w.now) {
			c.failure = errIdle
			w.release(c)
		}
	}
	return !stop
}

// add takes a connection whose goroutine ends now; false when it has to go on.
func (w *sweeper) add(c *conn) bool {
	if !w.enter(c) {
		return false
	}
	c.mu.Lock()
	over := c.closing || c.dead
	c.mu.Unlock()
	if over {
		w.ask(c) // nobody may have seen that it is here
	}
	return true
}

// enter takes the place and tells the kernel under one lock, so that nobody can
// ask for the connection in between.
func (w *sweeper) enter(c *conn) bool {
	c.sock.detach()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	at, turn := w.put(c)
	e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | edge, Fd: at, Pad: turn}
	if c.sock.with(func(fd int) error { return syscall.EpollCtl(w.epoll, syscall.EPOLL_CTL_ADD, fd, &e) }) != nil {
		w.remove(c)
		return false
	}
	return true
}

// ask wakes the sweeper to let c go, if it is here.
func (w *sweeper) ask(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place < 0 || w.list[c.place].asked {
		return
	}
	w.list[c.place].asked = true
	w.asked = append(w.asked, c)
	w.ring()
}

// release gives a connection to a goroutine of its own, which starts with the next flush.
func (w *sweeper) release(c *conn) {
	w.mu.Lock()
	here := w.remove(c)
	w.mu.Unlock()
	if !here {
		return
	}
	// A descriptor that is closed already has left by itself.
	_ = c.sock.with(func(fd int) error { return syscall.EpollCtl(w.epoll, syscall.EPOLL_CTL_DEL, fd, nil) })
	c.sock.sweep(false)
	w.leaving = append(w.leaving, c)
}

// stop ends the sweeper, which has no connections any more.
func (w *sweeper) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.ring()
}

// ring is heard once however often it rings: a full pipe says as much as one byte.
func (w *sweeper) ring() { _, _ = syscall.Write(w.bell[1], []byte{0}) }

func (w *sweeper) hush() {
	var b [64]byte
	for {
		if n, err := syscall.Read(w.bell[0], b[:]); n < len(b) || err != nil {
			return
		}
	}
}
