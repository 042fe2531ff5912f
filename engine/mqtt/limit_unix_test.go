//go:build unix

package mqtt

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// starvedServer is set in the process that TestDescriptors starts.
const starvedServer = "TIDEMILL_TEST_STARVED"

// TestDescriptors has more clients than the server's process may have descriptors.
// Who is connected is served, the server keeps writing sessions down, and others come in when some have gone.
func TestDescriptors(t *testing.T) {
	if dir := os.Getenv(starvedServer); dir != "" {
		starve(dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDescriptors$")
	cmd.Env = append(os.Environ(), starvedServer+"="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close() // that ends it
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the server says nothing")
	}
	address := lines.Text()
	first := login(t, address, "first")
	send(t, first, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t"), QoS: 1}}})
	answer(t, first, []byte{0x90, 3, 0, 1, 1})
	var crowd []net.Conn
	for range 150 {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		crowd = append(crowd, nc)
	}
	for lines.Scan() && !strings.Contains(lines.Text(), "too many open files") {
	}
	for id := uint16(1); id < 20; id++ {
		p := &Packet{Type: Publish, Topic: []byte("r"), Payload: []byte("x"), QoS: 1, Retain: true, ID: id}
		send(t, first, p)
		answer(t, first, []byte{0x40, 2, 0, byte(id)})
	}
	for _, nc := range crowd {
		nc.Close()
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	if err := conversation(nc, "late"); err != nil {
		t.Error(err)
	}
}

// starve is a server with few descriptors, until its input ends.
func starve(dir string) {
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	s := NewServer(Options{Env: env.Real(), Inlet: newInlet(), Report: func(line string) { fmt.Println(line) }})
	if err := s.Restore(dir); err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s.Listen(Listener{Listener: l})
	fmt.Println(l.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the test
	if err := s.Close(); err != nil {
		panic(err)
	}
}

// TestPingPong has two clients that take one session from each other again and
// again, as fast as they can. Others are served, and nothing of it is left.
func TestPingPong(t *testing.T) {
	s, count := counted(t, Options{Inlet: newInlet()})
	address := listen(t, s, Listener{})
	other := login(t, address, "other")
	const rounds = 300
	done := make(chan error, 2)
	for range 2 {
		go func() {
			for range rounds {
				nc, err := net.Dial("tcp", address)
				if err != nil {
					done <- err
					return
				}
				nc.SetDeadline(time.Now().Add(time.Minute))
				_, err = nc.Write(Append(nil, &Packet{Type: Connect, Login: Login{Version: V311, ClientID: []byte("same"), KeepAlive: 60}}, V311))
				if err == nil {
					_, err = nc.Read(make([]byte, 4))
				}
				if err != nil && err != io.EOF { // the other one may come before the answer
					done <- err
					return
				}
				go func() { // as clients do
					_, _ = io.Copy(io.Discard, nc)
					nc.Close()
				}()
			}
			done <- nil
		}()
	}
	for range 100 {
		send(t, other, &Packet{Type: Pingreq})
		answer(t, other, []byte{0xD0, 0})
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "connections stay", func() bool { return s.Stats().Connections <= 2 })
	if n := s.Stats().Sessions; n != 2 || count("takeovers") < rounds/2 {
		t.Errorf("%d sessions, %d takeovers", n, count("takeovers"))
	}
}
