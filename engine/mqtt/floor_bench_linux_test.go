package mqtt

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// BenchmarkFloor is the CPU time a message of a server that does nothing but epoll_wait, read and write, one system call
// after the other on one thread: what BenchmarkServer could at best come to with these calls. 5,000 connections of
// another process have one message in flight each; the first tenth, with connecting, does not count.
//
//	go test ./engine/mqtt -run '^$' -bench Floor -benchtime 400000x
func BenchmarkFloor(b *testing.B) {
	const conns = 5000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	f := &floor{quit: make(chan struct{}), warm: b.N / 10}
	var done sync.WaitGroup
	done.Go(func() { f.err = f.serve(l.(*net.TCPListener)) })
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoadClient$")
	cmd.Env = append(os.Environ(), "MQTT_LOAD="+l.Addr().String(), "MQTT_CONNS="+strconv.Itoa(conns), "MQTT_WINDOW=1", "MQTT_EACH="+strconv.Itoa(max(b.N/conns, 2)))
	cmd.Stderr = os.Stderr
	err = cmd.Run()
	close(f.quit)
	done.Wait()
	if err != nil || f.err != nil || f.n <= f.warm {
		b.Fatal(f.n, err, f.err)
	}
	b.ReportMetric(float64(f.used)/float64(f.n-f.warm), "cpu-ns/msg")
}

// floor is that server.
type floor struct {
	quit    chan struct{}
	warm, n int
	begun   int64 // CPU time, ns, at the message that is the first to count
	used    int64 // since
	err     error
}

func (f *floor) serve(l *net.TCPListener) error {
	file, err := l.File()
	if err != nil {
		return err
	}
	defer file.Close()
	door := int(file.Fd())
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer syscall.Close(epoll)
	watch := func(fd int) error {
		return syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
	}
	if err := watch(door); err != nil {
		return err
	}
	events, buf := make([]syscall.EpollEvent, 512), make([]byte, 4096)
	for {
		const pause = 50 // ms
		n, err := syscall.EpollWait(epoll, events, pause)
		if err != nil && err != syscall.EINTR {
			return err
		}
		select {
		case <-f.quit:
			return nil
		default:
		}
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if fd != door {
				f.answer(fd, buf)
				continue
			}
			nc, _, err := syscall.Accept4(door, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err == nil {
				err = watch(nc)
			}
			if err != nil {
				return err
			}
		}
		if f.n > f.warm {
			f.used = cpuTime().Nanoseconds() - f.begun
		}
	}
}

// answer answers one packet, which has come whole.
func (f *floor) answer(fd int, buf []byte) {
	n, err := readNow(fd, buf)
	switch {
	case err == syscall.EAGAIN:
		return
	case n <= 0:
		syscall.Close(fd)
		return
	}
	out := [4]byte{byte(Connack) << 4, 2}
	if Type(buf[0]>>4) == Publish {
		at := 2 // of the topic's length: a remaining length of two bytes stands before
		if buf[1] >= 0x80 {
			at = 3
		}
		id := at + 2 + int(buf[at])<<8 + int(buf[at+1])
		out = [4]byte{byte(Puback) << 4, 2, buf[id], buf[id+1]}
		if f.n++; f.n == f.warm {
			f.begun = cpuTime().Nanoseconds()
		}
	}
	_, _ = writeNow(fd, out[:]) // a client that has gone is met by the next read
}
