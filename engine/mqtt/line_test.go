package mqtt

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// turning is a clock that the test turns.
type turning struct {
	env.Clock
	now time.Time
}

func (t *turning) Now() time.Time { return t.now }

// TestLine: connections are taken once each, however pushes and takes meet, and the line forgets them. Who came first is next, but in a crowd
// who came last, unless somebody has waited for long.
func TestLine(t *testing.T) {
	for _, c := range []struct {
		each, burst int
		pass        time.Duration // at each push
		overtaken   bool          // somebody is
	}{{1, 1, 0, false}, {33, 1, 0, true}, {crowdOf - 1, 4, 0, false}, {crowdOf, 4, 0, true}, {1000, 3, 0, true}, {1000, 3, patient / 4, true}, {33, 1, 2 * patient, false}} {
		clock := &turning{now: time.Unix(1, 0)}
		l := line{clock: clock}
		l.some.L = &l.mu
		conns := make([]*conn, 5000)
		came := make([]time.Time, len(conns))
		for i := range conns {
			conns[i] = &conn{place: int32(i)}
		}
		var waiting []int // in the order in which they came
		overtaken := false
		taken := 0
		for pushed := 0; pushed < len(conns) || len(waiting) > 0; {
			for end := min(pushed+c.each, len(conns)); pushed < end; pushed++ {
				l.push(conns[pushed])
				came[pushed], waiting = clock.now, append(waiting, pushed)
			}
			if got := l.crowded.Load(); got != (len(waiting) >= crowdOf) {
				t.Fatalf("%+v: %d wait, and that they are a crowd is %v", c, len(waiting), got)
			}
			for range c.burst {
				if len(waiting) == 0 {
					break
				}
				crowded := len(waiting) >= crowdOf
				for _, got := range l.take(nil) {
					first, want := waiting[0], waiting[len(waiting)-1]
					if !crowded || clock.now.Sub(came[first]) > patient {
						want, waiting = first, waiting[1:]
					} else {
						waiting = waiting[:len(waiting)-1]
					}
					if int(got.place) != want {
						t.Fatalf("%+v: %d, not %d; %d came first", c, got.place, want, first)
					}
					overtaken = overtaken || want != first
					taken++
				}
			}
			clock.now = clock.now.Add(c.pass)
		}
		if taken != len(conns) || overtaken != c.overtaken {
			t.Errorf("%+v: %d were taken, and somebody was overtaken: %v", c, taken, overtaken)
		}
		for _, left := range l.waiting[:cap(l.waiting)] {
			if left.c != nil {
				t.Fatalf("%+v: connection %d is remembered", c, left.c.place)
			}
		}
		l.close()
		if got := l.take(nil); len(got) != 0 || len(l.waiting) != 0 || l.taken != 0 {
			t.Fatalf("%+v: %d more", c, len(got))
		}
	}
}

// TestLineWakesOthers: what a writer leaves is taken by another one, though many that come together wake only one of them.
func TestLineWakesOthers(t *testing.T) {
	l := line{clock: env.Real().Clock}
	l.some.L = &l.mu
	took := make(chan int)
	for range 2 {
		go func() { took <- len(l.take(nil)) }()
	}
	time.Sleep(20 * time.Millisecond) // both wait now, or come later and find something
	l.push(make([]*conn, atOnce+8)...)
	for n := 0; n < atOnce+8; {
		select {
		case k := <-took:
			n += k
		case <-time.After(time.Minute):
			t.Fatalf("%d are taken, and nobody takes the others", n)
		}
	}
}

// Answers stand in the connection's own memory while they fit and it is not being written, and what follows them follows them.
func TestAnswersMemory(t *testing.T) {
	answers := func(n int) []byte {
		out := []byte{}
		for i := range n {
			out = appendAck(out, Puback, uint16(i), Success, V311)
		}
		return out
	}
	for _, x := range []struct {
		name   string
		lent   bool
		steps  []int // answers at a time; 0: something else
		little bool
	}{
		{"as many as are mostly in flight", false, []int{16}, true},
		{"one after the other", false, []int{1, 1, 1}, true},
		{"too many", false, []int{17}, false},
		{"too many in turn", false, []int{10, 10}, false},
		{"while others are written", true, []int{1}, false},
		{"something else after them", false, []int{2, 0, 3}, false},
		{"something else before them", false, []int{0, 3}, false},
	} {
		c := &conn{s: &Server{}, lent: x.lent}
		before := c.little
		want := []byte{}
		for _, n := range x.steps {
			if n == 0 {
				c.out = append(c.buffer(), "else"...)
				want = append(want, "else"...)
				continue
			}
			c.out = append(c.bufferFor(n*maxAck), answers(n)...)
			want = append(want, answers(n)...)
		}
		if !bytes.Equal(c.out, want) || (&c.out[0] == &c.little[0]) != x.little || x.lent && c.little != before {
			t.Errorf("%s: % x, not % x; in its own memory: %v", x.name, c.out, want, &c.out[0] == &c.little[0])
		}
	}
}

// talker is a network; while it takes what is written, another answer is due.
type talker struct {
	c     *conn
	wrote []byte
}

func (t *talker) Read([]byte) (int, error) { return 0, io.EOF }
func (t *talker) Close() error             { return nil }
func (t *talker) Write(p []byte) (int, error) {
	if len(t.wrote) == 0 {
		t.c.sendAck(Puback, 2, Success)
	}
	t.wrote = append(t.wrote, p...)
	return len(p), nil
}

// An answer that is due while others are written does not stand in their place.
func TestAnswersWhileWriting(t *testing.T) {
	c := &conn{s: &Server{}, sock: &sock{}, v: V311, scheduled: true}
	n := &talker{c: c}
	c.t = n
	c.out = appendAck(c.bufferFor(maxAck), Puback, 1, Success, V311)
	c.flush()
	want := appendAck(appendAck(nil, Puback, 1, Success, V311), Puback, 2, Success, V311)
	if !bytes.Equal(n.wrote, want) || c.scheduled {
		t.Errorf("% x, not % x", n.wrote, want)
	}
}
