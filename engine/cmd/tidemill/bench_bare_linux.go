package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// bare is a server that does nothing with a message but what cannot be left out of "acknowledged is durable": one thread that waits, reads, writes
// what came to a file past the page cache, where the file system can, syncs it, and answers. It knows of CONNECT and PUBLISH with QoS 1 what a load
// generator sends. What it takes is what this machine asks for the messages' ways, whoever serves them with these calls.
//
// The file has the payloads of a group, one after the other, and zeros up to the next multiple of barePage.
type bare struct {
	listener    *os.File // held, since its descriptor is
	door, epoll int
	file        *os.File
	fd          int // of the file
	group       int // messages that can be in flight: with so many nothing more will come
	conns       map[int]*bareConn
	waiting     []*bareConn // those with answers
	came        []byte      // payloads that are not in the file yet, in memory of its own that begins with a page
	messages    int
	buf         []byte
}

// bareConn is a connection: what came of a packet that is not whole, and its answers.
type bareConn struct {
	fd       int
	rest     []byte
	answers  []byte
	answered bool // it is among those that wait
}

// bareLinger is how long a group waits for company, ms, as in an engine by default.
const bareLinger = 2

const (
	barePage  = 4096
	bareSpace = 16 << 20 // bytes of a group, at most
)

// serveBare serves until the process is ended. It never returns nil.
func serveBare(address, name string, group int) error {
	runtime.LockOSThread()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	own, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	s := &bare{listener: own, door: int(own.Fd()), group: group, conns: map[int]*bareConn{}, buf: make([]byte, 256<<10)}
	if s.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY|syscall.O_DIRECT, 0o644); err != nil {
		s.file, err = os.Create(name) // not every file system can
	}
	if err != nil {
		return err
	}
	space, err := syscall.Mmap(-1, 0, bareSpace, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	s.came = space[:0]
	if s.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := s.watch(s.door); err != nil {
		return err
	}
	s.fd = int(s.file.Fd())
	return s.loop()
}

// call is a system call that the Go runtime hears nothing of: nothing else wants to run in this process.
func call(number uintptr, fd int, at unsafe.Pointer, n, more int) (int, syscall.Errno) {
	got, _, errno := syscall.RawSyscall6(number, uintptr(fd), uintptr(at), uintptr(n), uintptr(more), 0, 0)
	return int(got), errno
}

func (s *bare) watch(fd int) error {
	return syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (s *bare) loop() error {
	events := make([]syscall.EpollEvent, 512)
	for {
		pause := -1
		if s.messages > 0 {
			pause = bareLinger
		}
		n, errno := call(syscall.SYS_EPOLL_PWAIT, s.epoll, unsafe.Pointer(&events[0]), len(events), pause)
		if errno == syscall.EINTR {
			continue
		} else if errno != 0 {
			return errno
		}
		for _, e := range events[:n] {
			if err := s.look(int(e.Fd)); err != nil {
				return err
			}
		}
		if s.messages > 0 && (n == 0 || s.messages >= s.group) {
			if err := s.commit(); err != nil {
				return err
			}
		}
	}
}

// look takes a connection, or what came over one.
func (s *bare) look(fd int) error {
	if fd == s.door {
		own, _, err := syscall.Accept4(s.door, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return err
		}
		s.conns[own] = &bareConn{fd: own}
		return s.watch(own)
	}
	c := s.conns[fd]
	n, errno := call(syscall.SYS_READ, fd, unsafe.Pointer(&s.buf[0]), len(s.buf), 0)
	if n <= 0 && errno != syscall.EAGAIN {
		delete(s.conns, fd)
		s.waiting = slices.DeleteFunc(s.waiting, func(x *bareConn) bool { return x == c })
		return syscall.Close(fd)
	}
	b := s.buf[:max(n, 0)]
	if len(c.rest) > 0 {
		b = append(c.rest, b...)
	}
	left, err := s.packets(c, b)
	c.rest = append(c.rest[:0], left...)
	return err
}

// packets takes the packets that are whole, and returns what is left.
func (s *bare) packets(c *bareConn, b []byte) ([]byte, error) {
	for len(b) >= 2 {
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || uint64(len(b)-1-n) < size {
			break
		}
		body := b[1+n : 1+n+int(size)]
		switch mqtt.Type(b[0] >> 4) {
		case mqtt.Connect:
			if _, err := syscall.Write(c.fd, []byte{byte(mqtt.Connack) << 4, 2, 0, 0}); err != nil {
				return nil, err
			}
		case mqtt.Publish:
			topic := 2 + int(binary.BigEndian.Uint16(body))
			c.answers = append(c.answers, byte(mqtt.Puback)<<4, 2, body[topic], body[topic+1])
			if len(s.came)+len(body)+barePage > bareSpace {
				return nil, fmt.Errorf("%d messages have more than %d bytes", s.messages, bareSpace)
			}
			s.came = append(s.came, body[topic+2:]...)
			s.messages++
			if !c.answered {
				c.answered = true
				s.waiting = append(s.waiting, c)
			}
		}
		b = b[1+n+int(size):]
	}
	return b, nil
}

// commit makes durable what came, and answers.
func (s *bare) commit() error {
	used := len(s.came)
	s.came = s.came[:(used+barePage-1)/barePage*barePage]
	clear(s.came[used:])
	if n, errno := call(syscall.SYS_WRITE, s.fd, unsafe.Pointer(&s.came[0]), len(s.came), 0); n != len(s.came) {
		return fmt.Errorf("%d bytes of %d were written: %w", n, len(s.came), errno)
	}
	if _, errno := call(syscall.SYS_FDATASYNC, s.fd, nil, 0, 0); errno != 0 {
		return errno
	}
	for _, c := range s.waiting {
		if n, errno := call(syscall.SYS_WRITE, c.fd, unsafe.Pointer(&c.answers[0]), len(c.answers), 0); n != len(c.answers) {
			return fmt.Errorf("%d bytes of %d answers were taken: %w", n, len(c.answers)/4, errno)
		}
		c.answers, c.answered = c.answers[:0], false
	}
	s.waiting, s.came, s.messages = s.waiting[:0], s.came[:0], 0
	return nil
}
