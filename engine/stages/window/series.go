package window

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sort"
	"strings"
)

var errDamaged = errors.New("damaged value")

// series holds values in order of event time; of equal times in the order in which they came.
type series struct {
	t []int64
	w []int64  // values that are no strings
	s []string // values that are
}

// add puts a value in its place. limit is the most there may be; of more, keep says that the
// earliest stay, else that what comes does not. It tells whether a value was lost.
func (s *series) add(t, w int64, text *string, limit int, keep bool) (lost bool) {
	at := len(s.t)
	if at > 0 && t < s.t[at-1] {
		at = sort.Search(at, func(i int) bool { return s.t[i] > t })
	}
	if len(s.t) >= limit {
		if !keep || at == len(s.t) {
			return true
		}
		s.cut(limit - 1)
		lost = true
	}
	s.t = slices.Insert(s.t, at, t)
	if text != nil {
		s.s = slices.Insert(s.s, at, *text)
	} else {
		s.w = slices.Insert(s.w, at, w)
	}
	return lost
}

func (s *series) cut(n int) {
	s.t = s.t[:n]
	if s.s != nil {
		s.s = s.s[:n]
	} else {
		s.w = s.w[:n]
	}
}

// merge adds what another holds; it tells how many values were lost.
func (s *series) merge(o *series, limit int, keep bool) (lost int64) {
	for i, t := range o.t {
		w, text := int64(0), (*string)(nil)
		if o.s != nil {
			text = &o.s[i]
		} else {
			w = o.w[i]
		}
		if s.add(t, w, text, limit, keep) {
			lost++
		}
	}
	return lost
}

// mean is the time-weighted mean of numbers from the first to the last; when they are of
// one time, their plain mean.
func (s *series) mean(linear bool) (float64, bool) {
	n := len(s.t)
	if n == 0 {
		return 0, false
	}
	v := func(i int) float64 { return math.Float64frombits(uint64(s.w[i])) }
	span := float64(s.t[n-1] - s.t[0])
	var sum, comp float64
	if span == 0 {
		for i := range n {
			sum, comp = addExact(sum, comp, v(i)/float64(n))
		}
		return sum + comp, true
	}
	for i := range n - 1 {
		part, height := float64(s.t[i+1]-s.t[i])/span, v(i)
		if linear {
			height = height/2 + v(i+1)/2
		}
		sum, comp = addExact(sum, comp, float64(part*height))
	}
	return sum + comp, true
}

// increase is the sum of the rises of a counter: what falls has begun at 0 again and rose to what it is.
// (A counter is never negative; what falls below 0 rose by nothing.)
func (s *series) increase() float64 {
	var sum, comp float64
	for i := 1; i < len(s.t); i++ {
		before, now := math.Float64frombits(uint64(s.w[i-1])), math.Float64frombits(uint64(s.w[i]))
		if now < before {
			before = min(now, 0)
		}
		sum, comp = addExact(sum, comp, now)
		sum, comp = addExact(sum, comp, -before)
	}
	return sum + comp
}

// A stored series is 0 and pairs of time and word, or 1 and times, lengths and bytes.
func (s *series) appendTo(b []byte) []byte {
	if s.s == nil {
		b = append(b, 0)
		for i, t := range s.t {
			b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, uint64(t)), uint64(s.w[i]))
		}
		return b
	}
	b = append(b, 1)
	for i, t := range s.t {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
		b = append(binary.AppendUvarint(b, uint64(len(s.s[i]))), s.s[i]...)
	}
	return b
}

func (s *series) read(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	text := b[0] == 1
	for b = b[1:]; len(b) > 0; {
		if len(b) < 8 || !text && len(b) < 16 {
			return errDamaged
		}
		t := int64(binary.LittleEndian.Uint64(b))
		b = b[8:]
		s.t = append(s.t, t)
		if !text {
			s.w, b = append(s.w, int64(binary.LittleEndian.Uint64(b))), b[8:]
			continue
		}
		n, k := binary.Uvarint(b)
		if k <= 0 || uint64(len(b)-k) < n {
			return errDamaged
		}
		s.s, b = append(s.s, string(b[k:k+int(n)])), b[k+int(n):]
	}
	return nil
}

func (s *series) clear() { s.t, s.w, s.s = s.t[:0], s.w[:0], nil }

// top counts the most frequent values by Space-Saving (Metwally, Agrawal, El Abbadi 2005): with
// m counters, a value that makes up more than 1/m of all is among them, and a count is at most n/m too
// high. Up to m different values it is exact.
type top struct {
	keys []string // rising
	n    []int64
}

// add counts a value n more times; m is the number of counters.
func (c *top) add(key []byte, n int64, m int) {
	at, found := slices.BinarySearchFunc(c.keys, key, func(have string, want []byte) int { return cmp.Compare(have, string(want)) })
	if found {
		c.n[at] += n
		return
	}
	if len(c.keys) >= m {
		least := 0
		for i, have := range c.n {
			if have < c.n[least] {
				least = i
			}
		}
		n += c.n[least]
		c.keys, c.n = slices.Delete(c.keys, least, least+1), slices.Delete(c.n, least, least+1)
		if least < at {
			at--
		}
	}
	c.keys, c.n = slices.Insert(c.keys, at, string(key)), slices.Insert(c.n, at, n)
}

// most returns the k most frequent values, of equally frequent ones those that come first in order.
func (c *top) most(k int) []string {
	order := make([]int, len(c.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(c.n[b], c.n[a]), strings.Compare(c.keys[a], c.keys[b]))
	})
	var out []string
	for _, i := range order[:min(k, len(order))] {
		out = append(out, c.keys[i])
	}
	return out
}

func (c *top) appendTo(b []byte) []byte {
	for i, k := range c.keys {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.n[i])), uint64(len(k)))
		b = append(b, k...)
	}
	return b
}

func (c *top) read(b []byte) error {
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			return errDamaged
		}
		b = b[k:]
		size, k := binary.Uvarint(b)
		if k <= 0 || uint64(len(b)-k) < size {
			return errDamaged
		}
		c.keys, c.n = append(c.keys, string(b[k:k+int(size)])), append(c.n, int64(n))
		b = b[k+int(size):]
	}
	return nil
}

func (c *top) clear() { c.keys, c.n = c.keys[:0], c.n[:0] }
