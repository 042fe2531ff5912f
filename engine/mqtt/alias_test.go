package mqtt

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestAliases sends topics as they come, and lets a client of the specification's rules find out what they
// were: it knows an alias once it came with a topic, on this connection.
func TestAliases(t *testing.T) {
	for _, c := range []struct {
		most, hot, cold int
		least           float64 // share of messages that come without their topic
	}{
		{0, 5, 0, 0}, {1, 1, 0, 0.99}, {10, 10, 0, 0.95}, {10, 4, 1000, 0.25}, {65_535, 50, 5000, 0.25}, {3, 1000, 0, 0},
	} {
		a := aliases{most: c.most}
		r := rand.New(rand.NewPCG(1, 2))
		known, saved := map[uint16]string{}, 0
		const n = 5_000
		for range n {
			topic := fmt.Sprint("hot/", r.IntN(c.hot))
			if c.cold > 0 && r.IntN(2) == 0 {
				topic = fmt.Sprint("cold/", r.IntN(c.cold))
			}
			by := a.of(topic)
			a.told(by)
			switch {
			case int(by.number) > c.most || by.number > maxAliases:
				t.Fatalf("%+v: alias %d", c, by.number)
			case by.known && known[by.number] != topic:
				t.Fatalf("%+v: alias %d stands for %q, not %q", c, by.number, known[by.number], topic)
			case by.known:
				saved++
			case by.number != 0:
				known[by.number] = topic
			}
		}
		if got := float64(saved) / n; got < c.least || c.most == 0 && got > 0 {
			t.Errorf("%+v: %.2f of the messages come without their topic", c, got)
		}
	}
}

// TestAliasNotTold: an alias counts as set only where its PUBLISH went out.
func TestAliasNotTold(t *testing.T) {
	a := aliases{most: 1}
	a.of("a/long/topic")
	for range 3 {
		if by := a.of("a/long/topic"); by != (alias{number: 1}) {
			t.Errorf("%+v", by)
		}
	}
	a.told(alias{number: 1})
	if by := a.of("a/long/topic"); by != (alias{1, true}) {
		t.Errorf("%+v", by)
	}
}
