package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// inlet is an Inlet that does as a script says.
type inlet struct {
	mu     sync.Mutex
	got    []string
	came   map[uint16]int64 // when the latest message with an identifier came
	come   chan struct{}
	hold   bool
	refuse error
	slow   bool
	held   []func(error)
}

func newInlet() *inlet { return &inlet{came: map[uint16]int64{}, come: make(chan struct{}, 1000)} }

// TryAppend makes servers with this inlet read by sweepers, but for connections in memory.
func (x *inlet) TryAppend(batch []Inbound, done func(error)) (bool, error) {
	x.mu.Lock()
	slow := x.slow
	x.mu.Unlock()
	if slow {
		return false, nil
	}
	return true, x.Append(batch, done)
}

func (x *inlet) Append(batch []Inbound, done func(error)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refuse != nil {
		return x.refuse
	}
	for _, m := range batch {
		text := fmt.Sprintf("%s %s %d", m.Topic, m.Payload, m.QoS)
		if m.Retain {
			text += " retain"
		}
		if m.Resent {
			text += " resent"
		}
		if m.Settled > 0 {
			text += " settled"
			if m.Settled <= x.came[m.Packet] {
				text += " before"
			}
		}
		x.came[m.Packet] = m.Received
		if m.Uses > 0 {
			text += fmt.Sprint(" uses ", m.Uses)
		}
		if m.Session != 0 && m.Packet == 0 || m.Session == 0 && m.Resent {
			text += " of no session"
		}
		x.got = append(x.got, text)
		x.come <- struct{}{}
	}
	switch {
	case done == nil:
	case x.hold:
		x.held = append(x.held, done)
	default:
		go done(nil)
	}
	return nil
}

// release answers what is held: these batches by number, or without any all that are left.
func (x *inlet) release(err error, which ...int) {
	x.mu.Lock()
	if len(which) == 0 {
		x.hold = false
		for i := range x.held {
			which = append(which, i)
		}
	}
	var done []func(error)
	for _, i := range which {
		if x.held[i] != nil {
			done = append(done, x.held[i])
			x.held[i] = nil
		}
	}
	x.mu.Unlock()
	for _, f := range done {
		f(err)
	}
}

// stage is a server that a script plays on. A script's lines are
//
//	@a 3 clean            client a connects with 3.1.1; keep: with a session; "present" or "new" may follow
//	@a open               client a connects without saying anything
//	@a > 30 ~ 'a' 31      client a sends bytes, in the notation of the packets
//	@a < 20 02 00 00      exactly these bytes come next; with | between, one of several
//	@a < DISCONNECT 82    a packet of 5.0 of that type and reason comes next
//	@a < ends             the server closes
//	@a quiet              a ping is the next thing answered: nothing came before
//	@a leaves             client a closes without a word
//	inlet a/b payload 1   the inlet has got this message of QoS 1 next
//	inlet none, hold, release [2 1], fail, refuse, accept, slow (it always has to wait)
//	wait 100ms
//	restart, crash        the server stops, or the power fails; and another one starts
//	count NAME N          a counter stands at N, after a while
type stage struct {
	s       *Server
	inlet   *inlet
	address string
	clients map[string]*peer
	mu      sync.Mutex
	counts  map[string]int64
	disk    *env.Sim
	crashes int
	point   func(name string) // of the server's world; nil: nothing happens there
}

type peer struct {
	net.Conn
	version Version
	buf     []byte
	present bool // of the last CONNACK
}

func scriptRules() *Rules {
	var patterns []Pattern
	for _, text := range []string{"a/#", "b", "own/${client_id}/#", "$special/+"} {
		p, err := ParsePattern(text)
		if err != nil {
			panic(err)
		}
		patterns = append(patterns, p)
	}
	return &Rules{Publishes: patterns, Subscribes: patterns}
}

func newStage(point func(name string)) (*stage, error) {
	st := &stage{inlet: newInlet(), clients: map[string]*peer{}, counts: map[string]int64{}, disk: env.NewSim(1), point: point}
	return st, st.start()
}

// start starts a server on the stage's disk.
func (st *stage) start() error {
	world := *env.Real()
	world.FS = st.disk.Env().FS
	if st.point != nil {
		world.Point = st.point
	}
	st.s = NewServer(Options{Env: &world, Inlet: st.inlet, Access: scriptRules(),
		MaxPacket: 1024, MaxLevels: 8, MaxSubscriptions: 3, MaxSessions: 6, MaxRetained: 2, MaxQueued: 3, ReceiveMaximum: 4,
		Inflight: 2, TopicAliases: 2, ConnectTimeout: 3 * time.Second,
		Count: func(name string, n int64) { st.mu.Lock(); st.counts[name] += n; st.mu.Unlock() }})
	st.s.proof = time.Second // longer than a slow machine takes from one line to the next
	if err := st.s.Restore("/sessions"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	st.address = l.Addr().String()
	st.s.Listen(Listener{Listener: l})
	return nil
}

// TestScripts plays all scripts at the same time, since most of them wait: the
// test runner would play as many as there are processors.
func TestScripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/server/*.txt")
	var wg sync.WaitGroup
	n, slots := 0, make(chan struct{}, 40)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range strings.Split("\n"+string(text), "\n== ")[1:] {
			n++
			title, body, _ := strings.Cut(script, "\n")
			wg.Add(1)
			go func() {
				defer wg.Done()
				slots <- struct{}{}
				defer func() { <-slots }()
				if err := play(body); err != nil {
					t.Errorf("%s: %s: %v", filepath.Base(file), title, err)
				}
			}()
		}
	}
	wg.Wait()
	if n < 80 {
		t.Errorf("there are only %d scripts", n)
	}
}

// play does what a script says.
func play(body string) error {
	st, err := newStage(nil)
	if err != nil {
		return err
	}
	defer func() {
		st.inlet.release(nil)
		for _, c := range st.clients {
			c.Close()
		}
		st.s.Close()
	}()
	for i, line := range strings.Split(body, "\n") {
		line, _, _ = strings.Cut(line, " # ")
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := st.do(line); err != nil {
			return fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
	}
	return nil
}

func (st *stage) do(line string) error {
	what, rest, _ := strings.Cut(line, " ")
	switch {
	case what[0] == '@':
		verb, rest, _ := strings.Cut(rest, " ")
		return st.client(what[1:], verb, strings.TrimSpace(rest))
	case what == "inlet":
		return st.tell(rest)
	case what == "wait":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err
	case what == "restart" || what == "crash":
		if what == "crash" {
			st.crashes++
			st.disk.Crash(uint64(st.crashes))
		}
		if err := st.s.Close(); err != nil {
			return err
		}
		return st.start()
	case what == "count":
		name, n, _ := strings.Cut(rest, " ")
		want, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return err
		}
		return st.count(name, want)
	}
	return errors.New("no such thing to do")
}

func (st *stage) count(name string, want int64) error {
	for end := time.Now().Add(longEnough); ; time.Sleep(10 * time.Millisecond) {
		st.mu.Lock()
		got := st.counts[name]
		st.mu.Unlock()
		if got == want {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("stands at %d", got)
		}
	}
}

func (st *stage) tell(order string) error {
	x := st.inlet
	verb, rest, _ := strings.Cut(order, " ")
	switch verb {
	case "none":
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.got) > 0 {
			return fmt.Errorf("it has %q", x.got)
		}
		return nil
	case "release":
		var turns []int
		for _, n := range strings.Fields(rest) {
			turn, err := strconv.Atoi(n)
			if err != nil {
				return err
			}
			turns = append(turns, turn)
		}
		x.release(nil, turns...)
		return nil
	case "fail":
		x.release(errors.New("the disk is gone"))
		return nil
	}
	if !slices.Contains([]string{"hold", "refuse", "accept", "slow"}, verb) {
		select {
		case <-x.come:
		case <-time.After(longEnough):
			return errors.New("nothing came")
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch verb {
	case "hold":
		x.hold = true
	case "refuse":
		x.refuse = errors.New("no")
	case "accept":
		x.refuse = nil
	case "slow":
		x.slow = true
	default:
		got := x.got[0]
		x.got = x.got[1:]
		if got != order {
			return fmt.Errorf("it got %q", got)
		}
	}
	return nil
}

func (st *stage) client(name, verb, rest string) error {
	c := st.clients[name]
	switch verb {
	case "3", "5", "open":
		nc, err := net.Dial("tcp", st.address)
		if err != nil {
			return err
		}
		if c != nil {
			st.clients[name+"'"] = c // the connection before; @a' in the script
		}
		c = &peer{Conn: nc, version: V5}
		st.clients[name] = c
		if verb == "open" {
			return nil
		}
		if verb == "3" {
			c.version = V311
		}
		return c.connect(strings.TrimSuffix(name, "'"), rest)
	case ">":
		b, err := notation(rest)
		if err != nil {
			return err
		}
		_, err = c.Write(b)
		return err
	case "leaves":
		return c.Close()
	case "quiet":
		if _, err := c.Write([]byte{0xC0, 0}); err != nil {
			return err
		}
		return c.expect([]byte{0xD0, 0})
	case "<":
		if rest == "ends" {
			return c.ends()
		}
		if rest[0] >= 'A' && len(rest) > 2 && rest[2] != ' ' {
			return c.packet(rest)
		}
		var those [][]byte
		for _, one := range strings.Split(rest, " | ") {
			b, err := notation(one)
			if err != nil {
				return err
			}
			those = append(those, b)
		}
		return c.expect(those...)
	}
	return errors.New("no such thing to do")
}

func (c *peer) connect(id, how string) error {
	p := Packet{Type: Connect, Login: Login{Version: c.version, CleanStart: strings.Contains(how, "clean"), ClientID: []byte(id), KeepAlive: 60}}
	if !p.Login.CleanStart {
		p.Props.SetNum(SessionExpiry, 100)
	}
	if _, err := c.Write(Append(nil, &p, c.version)); err != nil {
		return err
	}
	want := "CONNACK 00"
	if err := c.packet(want); err != nil {
		return err
	}
	if c.present != strings.Contains(how, "present") {
		return fmt.Errorf("session present: %v", c.present)
	}
	return nil
}

// fill reads until n bytes are there.
func (c *peer) fill(n int) error {
	c.SetReadDeadline(time.Now().Add(longEnough))
	for len(c.buf) < n {
		b := make([]byte, 4096)
		got, err := c.Read(b)
		c.buf = append(c.buf, b[:got]...)
		if err != nil {
			return err
		}
	}
	return nil
}

// expect takes one of those, which are equally long.
func (c *peer) expect(those ...[]byte) error {
	size := len(those[0])
	err := c.fill(size)
	got := c.buf[:min(len(c.buf), size)]
	if !slices.ContainsFunc(those, func(want []byte) bool { return bytes.Equal(got, want) }) {
		return fmt.Errorf("%x came: %w", c.buf, err)
	}
	c.buf = c.buf[size:]
	return nil
}

// packet expects one packet.
func (c *peer) packet(want string) error {
	for n := 1; ; n++ {
		var p Packet
		size, err := Decode(c.buf, c.version, Limits{}, &p)
		if err != nil {
			return fmt.Errorf("%x came: %w", c.buf, err)
		}
		if size > 0 {
			if got := fmt.Sprintf("%s %02X", p.Type, byte(p.Reason)); got != want {
				return fmt.Errorf("%s came: %x", got, c.buf)
			}
			c.present = p.SessionPresent
			c.buf = c.buf[size:]
			return nil
		}
		if err := c.fill(len(c.buf) + 1); err != nil {
			return fmt.Errorf("%x came: %w", c.buf, err)
		}
	}
}

func (c *peer) ends() error {
	err := c.fill(1 << 20)
	if len(c.buf) > 0 {
		return fmt.Errorf("%x came: %w", c.buf, err)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("it stays open")
	}
	return c.Close()
}
