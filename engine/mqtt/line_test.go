package mqtt

import (
	"bytes"
	"io"
	"testing"
)

// TestLine: connections are taken once each, in the order in which they came, however pushes and takes meet, and the line forgets them.
func TestLine(t *testing.T) {
	for _, c := range []struct{ each, burst int }{{1, 1}, {33, 1}, {100, 2}, {1000, 3}} {
		var l line
		l.some.L = &l.mu
		conns := make([]*conn, 5000)
		for i := range conns {
			conns[i] = &conn{place: int32(i)}
		}
		pushed, taken := 0, 0
		for taken < len(conns) {
			if pushed < len(conns) {
				n := min(c.each, len(conns)-pushed)
				l.push(conns[pushed : pushed+n]...)
				pushed += n
			}
			for range c.burst {
				if taken == pushed {
					break
				}
				for _, got := range l.take(nil) {
					if got != conns[taken] {
						t.Fatalf("%+v: %d, not %d", c, got.place, taken)
					}
					taken++
				}
			}
		}
		for _, left := range l.conns[:cap(l.conns)] {
			if left != nil {
				t.Fatalf("%+v: connection %d is remembered", c, left.place)
			}
		}
		l.close()
		if got := l.take(nil); len(got) != 0 || len(l.conns) != 0 || l.taken != 0 {
			t.Fatalf("%+v: %d more", c, len(got))
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
