package door

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// silentVar makes this test binary the process of those who connect and do not go on: address, number and what they say.
const silentVar = "TIDEMILL_SILENT"

// silent is how many connections say nothing: ten thousand, or as many as a process may have.
func silent(t *testing.T) (n int, p99 time.Duration) {
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	const others, most = 1_000, 10_000
	_, _, p99 = many(t)
	return max(min(int(min(limit.Cur, 1<<20))-others, most), 500), p99
}

// clientHello is what a client says first.
func clientHello(t *testing.T) []byte {
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		_ = tls.Client(there, &tls.Config{ServerName: "127.0.0.1"}).Handshake() // nobody answers
	}()
	b := make([]byte, 16<<10)
	n, err := here.Read(b)
	must(t, err)
	here.Close()
	return b[:n]
}

// says is what a silent connection says in each second, by name; nil: nothing.
func says(t *testing.T, what string) func(second int) []byte {
	switch what {
	case "half":
		return func(second int) []byte {
			return [][]byte{{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, nil}[min(second, 1)]
		}
	case "hello":
		hello := clientHello(t)
		return func(second int) []byte { return [][]byte{hello, nil}[min(second, 1)] }
	case "byte":
		return func(second int) []byte { return []byte{"\x10\x20\x00\x04MQTT\x04\x02\x00\x3c"[second%12]} }
	case "nothing":
		return func(int) []byte { return nil }
	}
	t.Fatal("what to say?")
	return nil
}

// TestSilentClients is another process of TestSilence: it connects, says something for four seconds, prints how many connections
// were closed meanwhile, waits for a line, and prints whether the first is closed in time.
func TestSilentClients(t *testing.T) {
	words := strings.Fields(os.Getenv(silentVar))
	if len(words) == 0 {
		t.Skip("runs as a part of TestSilence")
	}
	n, err := strconv.Atoi(words[1])
	must(t, err)
	what := says(t, words[2])
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i], err = net.Dial("tcp", words[0])
		must(t, err)
	}
	closed := 0
	for second := range 4 {
		if p := what(second); p != nil {
			for _, nc := range conns {
				if _, err := nc.Write(p); err != nil {
					closed++ // by the server, whose right it is
				}
			}
		}
		time.Sleep(time.Second)
	}
	fmt.Println(closed)
	bufio.NewScanner(os.Stdin).Scan()
	_ = conns[0].SetReadDeadline(time.Now().Add(time.Minute))
	_, err = io.ReadAll(conns[0])
	fmt.Println(!errors.Is(err, os.ErrDeadlineExceeded))
}

// silence is such a process.
type silence struct {
	in  io.WriteCloser
	out *json.Decoder
}

func newSilence(t *testing.T, address string, n int, what string) *silence {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSilentClients$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", silentVar, address, n, what))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &silence{in, json.NewDecoder(out)}
}

// TestSilence lets many connect and not go on: in the middle of a handshake's first message, after it, a
// byte a second, without a word. Others do not notice.
func TestSilence(t *testing.T) {
	n, p99 := silent(t)
	for _, c := range []struct {
		name, what string
		n          int
		in         time.Duration // in which a new device is let in
	}{
		{"a handshake that does not go on", "half", n, 5 * time.Second},
		{"a handshake whose answer nobody takes", "hello", n, 10 * time.Second},
		{"a byte a second", "byte", n, 5 * time.Second},
		{"no CONNECT", "nothing", 300, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if os.Getenv("TIDEMILL_SOAK") == "" {
				t.Parallel()
			}
			w := newWorld(t, "")
			w.start()
			w.listening()
			control := newControl(w)
			door := w.plain
			if c.what == "half" || c.what == "hello" {
				door = w.secure
			}
			crowd := newSilence(t, door, c.n, c.what)
			var closed int
			must(t, crowd.out.Decode(&closed))
			began := time.Now()
			late := &device{name: "late", qos: 1, clean: true, payload: func(n int) string { return `{"id":"late"}` }}
			cfg := w.tlsFor("late")
			late.dial = func() (net.Conn, error) { return tls.Dial("tcp", w.secure, cfg) }
			must(t, late.connect())
			late.close()
			waited := time.Since(began)
			took := control.cut()
			control.close(t)
			t.Logf("%d connections, %d closed meanwhile; a new one is in after %s; a connected one's p99 is %s (%d messages); %d MB",
				c.n, closed, waited.Round(time.Millisecond), quantile(took, 0.99), len(took), peak(t, w.cmd.Process.Pid))
			if quantile(took, 0.99) > p99 || len(took) < 50 {
				t.Errorf("a connected device suffers: its p99 should stay under %s", p99)
			}
			if waited > c.in {
				t.Errorf("a new device waits: it should be in within %s", c.in)
			}
			// Those who say nothing for the ten seconds that a CONNECT may take are sent away.
			_, err := io.WriteString(crowd.in, "end\n")
			must(t, err)
			var ended bool
			if must(t, crowd.out.Decode(&ended)); !ended {
				t.Error("a connection that never says anything is kept")
			}
			w.stop()
		})
	}
}
