package door

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stormVar makes this test binary the process of a storm's devices: address, number and folder.
const stormVar = "TIDEMILL_STORM"

// many is a number of devices, and what is asked of them: in a soak, which has the
// machine for itself, what the door is built for; otherwise less.
func many(t *testing.T) (n int, back, p99 time.Duration) {
	if os.Getenv("TIDEMILL_SOAK") != "" {
		return 10_000, 10 * time.Second, 250 * time.Millisecond
	}
	return 2_000, 20 * time.Second, 2 * time.Second
}

// storm is what the devices' process says after a round.
type storm struct {
	Back    float64 // s until all were connected
	Tries   int     // connections that were tried
	Resumed int     // TLS sessions that were
	Acked   []int   // by device, at the end
	Begun   []int
}

// TestStorm drops a whole fleet at once, each device with a certificate of its own, and lets it come back.
func TestStorm(t *testing.T) {
	n, back, p99 := many(t)
	w := newWorld(t, "")
	key, err := x509.MarshalPKCS8PrivateKey(w.ca.key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.dir, "ca.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	w.start()
	w.listening()
	cmd := exec.Command(os.Args[0], "-test.run=^TestStormDevices$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", stormVar, w.secure, n, w.dir))
	said := &text{}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	lines := json.NewDecoder(out)
	ask := func(what string) (s storm) {
		t.Helper()
		_, err := io.WriteString(in, what+"\n")
		must(t, err)
		if err := lines.Decode(&s); err != nil {
			t.Fatalf("the devices: %v\n%s", err, said)
		}
		return s
	}
	first := ask("connect")
	control := newControl(w)
	time.Sleep(time.Second)
	t.Logf("%d devices: first connected in %.1f s; a connected one's p99 %s", n, first.Back, quantile(control.cut(), 0.99))
	for _, round := range []string{"drop", "drop and resume"} {
		control.cut()
		before := [2]time.Duration{cpu(t, w.cmd.Process.Pid), cpu(t, cmd.Process.Pid)}
		again := ask(round)
		used := [2]time.Duration{cpu(t, w.cmd.Process.Pid) - before[0], cpu(t, cmd.Process.Pid) - before[1]}
		during := control.cut()
		t.Logf("%s: back in %.1f s with %d tries, %d sessions resumed; a connected one's p99 %s meanwhile (%d messages); %s of CPU time here, %s in the devices",
			round, again.Back, again.Tries, again.Resumed, quantile(during, 0.99), len(during), used[0], used[1])
		if again.Back > back.Seconds() || quantile(during, 0.99) > p99 || len(during) < 5 {
			t.Errorf("%s: over the limits: %s, %s", round, back, p99)
		}
		if resumes := strings.HasSuffix(round, "resume"); resumes && again.Resumed < n*9/10 || !resumes && again.Resumed > 0 {
			t.Errorf("%s: %d TLS sessions of %d devices were resumed", round, again.Resumed, n)
		}
	}
	end := ask("end")
	control.close(t)
	memory := peak(t, w.cmd.Process.Pid)
	w.stop()
	t.Logf("%d MB at most", memory)
	if memory > 500 {
		t.Errorf("over the limit: 500 MB")
	}
	rows := w.rows()
	for i, acked := range end.Acked {
		for k := range acked {
			if id := fmt.Sprintf("d%d-%d", i, k); rows[id] != 1 {
				t.Fatalf("%s, which is acknowledged, is in the output %d times", id, rows[id])
			}
		}
	}
}

// control is a device that stays connected and publishes all the while.
type control struct {
	d    *device
	stop atomic.Bool
	over chan error
	mu   sync.Mutex
	took []time.Duration
}

func newControl(w *world) *control {
	cfg := w.tlsFor("control")
	c := &control{over: make(chan error, 1)}
	c.d = &device{name: "control", qos: 1, clean: true, dial: func() (net.Conn, error) { return tls.Dial("tcp", w.secure, cfg) },
		payload: func(n int) string { return fmt.Sprintf(`{"id":"control-%d"}`, n) }}
	go func() { c.over <- c.run() }()
	return c
}

func (c *control) run() error {
	if err := c.d.connect(); err != nil {
		return err
	}
	defer c.d.close()
	for !c.stop.Load() {
		if err := c.d.publish(1); err != nil {
			return err
		}
		m, err := c.d.answer()
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.took = append(c.took, time.Since(m.at))
		c.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// cut returns how long messages have taken since the last cut.
func (c *control) cut() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	took := c.took
	c.took = nil
	return took
}

func (c *control) close(t *testing.T) {
	t.Helper()
	c.stop.Store(true)
	must(t, <-c.over)
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

// peak is the most memory that a process has had, MB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	return kb * 1024 / 1e6
}

// cpu is what a process has used so far; proc(5): the 12th and 13th field behind the name, in hundredths of a second.
func cpu(t *testing.T, pid int) (total time.Duration) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	for _, f := range strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[11:13] {
		n, err := strconv.Atoi(f)
		must(t, err)
		total += time.Duration(n) * 10 * time.Millisecond
	}
	return total
}

// fleet is the devices of a storm.
type fleet struct {
	devices []*device
	mu      []sync.Mutex // of each device's connection
	conns   []net.Conn
	round   atomic.Int64
	seen    []int64 // the round in which each device was connected last
	up      atomic.Int64
	tries   atomic.Int64
	resumes atomic.Bool // devices remember TLS sessions
	resumed atomic.Int64
	stop    atomic.Bool
	work    sync.WaitGroup
}

// TestStormDevices is the other process of TestStorm. It does what lines on its input say.
func TestStormDevices(t *testing.T) {
	words := strings.Fields(os.Getenv(stormVar))
	if len(words) == 0 {
		t.Skip("runs as a part of TestStorm")
	}
	n, err := strconv.Atoi(words[1])
	must(t, err)
	f := newFleet(t, words[0], n, words[2])
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		began := time.Now()
		f.tries.Store(0)
		f.resumed.Store(0)
		switch command := in.Text(); command {
		case "connect":
			for i := range f.devices {
				f.work.Go(func() { f.live(i) })
			}
		case "drop", "drop and resume":
			f.resumes.Store(command != "drop")
			f.round.Add(1)
			f.up.Store(0)
			f.drop()
		case "end":
			f.stop.Store(true)
			f.drop()
			f.work.Wait()
			var s storm
			for _, d := range f.devices {
				s.Acked, s.Begun = append(s.Acked, d.done), append(s.Begun, d.n)
			}
			must(t, json.NewEncoder(os.Stdout).Encode(s))
			return
		}
		for end := time.Now().Add(2 * time.Minute); f.up.Load() < int64(n); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d of %d devices are connected", f.up.Load(), n)
			}
		}
		must(t, json.NewEncoder(os.Stdout).Encode(storm{Back: time.Since(began).Seconds(), Tries: int(f.tries.Load()), Resumed: int(f.resumed.Load())}))
	}
}

func (f *fleet) drop() {
	for i := range f.conns {
		f.mu[i].Lock()
		f.conns[i].Close()
		f.mu[i].Unlock()
	}
}

func newFleet(t *testing.T, address string, n int, dir string) *fleet {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	must(t, err)
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	must(t, err)
	ca := &authority{key: pair.PrivateKey.(*ecdsa.PrivateKey), cert: cert, next: 1000}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // one for all: the certificates differ
	must(t, err)
	server, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	must(t, err)
	f := &fleet{conns: make([]net.Conn, n), mu: make([]sync.Mutex, n), seen: make([]int64, n)}
	f.round.Store(1)
	for i := range n {
		name := fmt.Sprintf("d%d", i)
		cfg := lean(server.Certificate[0])
		cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{ca.issue(t, name, key)}, PrivateKey: key}}
		cfg.ClientSessionCache = &ticket{of: f}
		d := &device{name: name, qos: 1, payload: func(k int) string { return fmt.Sprintf(`{"id":"%s-%d"}`, name, k) }}
		d.dial = func() (net.Conn, error) {
			f.tries.Add(1)
			nc, err := tls.Dial("tcp", address, cfg)
			if err == nil && nc.ConnectionState().DidResume {
				f.resumed.Add(1)
			}
			return nc, err
		}
		f.devices = append(f.devices, d)
	}
	return f
}

// lean is a device with a small processor, of which there are thousands in this one: it agrees on keys over P-256,
// as AWS's and Mbed's libraries do, and knows its server's certificate, so that it has only to see the server prove that it is the server's.
func lean(server []byte) *tls.Config {
	return &tls.Config{ServerName: "127.0.0.1", CurvePreferences: []tls.CurveID{tls.CurveP256}, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, server) {
				return errors.New("another server")
			}
			return nil
		}}
}

// ticket is what a device remembers of TLS: its latest session.
type ticket struct {
	of      *fleet
	session atomic.Pointer[tls.ClientSessionState]
}

func (k *ticket) Get(string) (*tls.ClientSessionState, bool) {
	s := k.session.Load()
	return s, s != nil && k.of.resumes.Load()
}

func (k *ticket) Put(_ string, s *tls.ClientSessionState) { k.session.Store(s) }

// live is a device: it publishes every few seconds, and comes back at once when it is dropped.
func (f *fleet) live(i int) {
	d := f.devices[i]
	pause := time.Duration(10+i%20) * time.Second
	for !f.stop.Load() {
		if err := d.connect(); err != nil {
			if errors.Is(err, errNoSession) {
				panic(err)
			}
			d.close()
			time.Sleep(50 * time.Millisecond)
			continue
		}
		f.mu[i].Lock()
		f.conns[i] = d.conn
		if r := f.round.Load(); f.seen[i] < r {
			f.seen[i] = r
			f.up.Add(1)
		}
		f.mu[i].Unlock()
		for err := error(nil); err == nil && !f.stop.Load(); {
			if err = d.publish(1); err == nil {
				_, err = d.answer()
			}
			if err == nil { // wait, but not longer than the connection lives
				_ = d.conn.SetReadDeadline(time.Now().Add(pause))
				if _, err = d.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
					err = nil
				}
			}
		}
		d.close()
	}
}
