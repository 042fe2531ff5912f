package mqtt

import "testing"

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
