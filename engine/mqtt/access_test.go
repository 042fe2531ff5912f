package mqtt

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"encoding/base64"
	"fmt"
	"golang.org/x/crypto/argon2"
)

func TestPatterns(t *testing.T) {
	anna := Client{ID: "c1", Username: "anna", CN: "d1"}
	for _, c := range []struct {
		pattern            string
		client             Client
		topic              string
		publish, subscribe bool
	}{
		{"a/b", anna, "a/b", true, true},
		{"a/+", anna, "a/b", true, true},
		{"a/+", anna, "a/+", false, true},
		{"a/+", anna, "a/#", false, false},
		{"a/#", anna, "a/#", false, true},
		{"a/#", anna, "a", true, true},
		{"a/#", anna, "a/+/c", false, true},
		{"#", anna, "#", false, true},
		{"#", anna, "$SYS/x", false, false},
		{"+/x", anna, "$SYS/x", false, false},
		{"$SYS/#", anna, "$SYS/x", true, true},
		{"+/+", anna, "+/+", false, true},
		{"+/+", anna, "+", false, false},
		{"a/b", anna, "+/b", false, false},
		{"dt/${client_id}/#", anna, "dt/c1/x", true, true},
		{"dt/${client_id}/#", anna, "dt/c2/x", false, false},
		{"dt/${client_id}/#", anna, "dt/+/x", false, false},
		{"dt/${username}", anna, "dt/anna", true, true},
		{"dt/${cn}", anna, "dt/d1", true, true},
		{"dt/x-${cn}-y", anna, "dt/x-d1-y", true, true},
		{"dt/${client_id}", Client{ID: "+"}, "dt/x", false, false},
		{"dt/${client_id}", Client{ID: "+"}, "dt/+", false, false},
		{"dt/${client_id}", Client{ID: "#"}, "dt/x/y", false, false},
		{"dt/${client_id}/x", Client{ID: "a/b"}, "dt/a/b/x", false, false},
		{"dt/${client_id}", Client{ID: ""}, "dt/", false, false},
		{"${client_id}/x", Client{ID: "$SYS"}, "$SYS/x", false, false},
		{"dt/${cn}", Client{CN: "a+b"}, "dt/a+b", false, false},
		{"dt/${username}", Client{Username: "#"}, "dt/#", false, false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		r := Rules{Publishes: []Pattern{p}, Subscribes: []Pattern{p}}
		if !strings.ContainsAny(c.topic, "+#") {
			if got := r.Publish(&c.client, c.topic); got != c.publish {
				t.Errorf("%s, %v: publish to %s: %v", c.pattern, c.client, c.topic, got)
			}
		}
		if got := r.Subscribe(&c.client, c.topic); got != c.subscribe {
			t.Errorf("%s, %v: subscribe to %s: %v", c.pattern, c.client, c.topic, got)
		}
	}
	for text, want := range map[string]string{"a/${b}": "there are ${client_id}", "a/${cn": "not closed", "a/${cn}+": "no topic filter", "$share/g/a": "shared", "": "no topic filter"} {
		if _, err := ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// randomName makes a topic or a filter of a few levels of a small alphabet.
func randomName(r *rand.Rand, levels ...string) string {
	parts := make([]string, 1+r.IntN(4))
	for i := range parts {
		parts[i] = levels[r.IntN(len(levels))]
	}
	if len(parts) == 1 && parts[0] == "" {
		parts[0] = levels[0] // a name is not empty
	}
	if r.IntN(3) == 0 && slices.Contains(levels, "+") {
		parts[len(parts)-1] = "#"
	}
	return strings.Join(parts, "/")
}

// TestTree compares the trees of subscriptions and retained messages with Match,
// and Covers with Match over all topics there are.
func TestTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var topics []string
	for range 300 {
		topics = append(topics, randomName(r, "a", "b", "", "$x"))
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	kept := retained{maxCount: 1000, maxBytes: 1 << 20}
	for _, topic := range topics {
		kept.set(&Message{Topic: topic, Payload: []byte("x")}, 0)
	}
	var subs tree
	var all []*subscription
	for range 200 {
		s := &subscription{session: &session{}, filter: randomName(r, "a", "b", "", "$x", "+")}
		subs.add(s)
		all = append(all, s)
		if len(all) > 50 { // leave a few out again
			i := r.IntN(len(all))
			subs.remove(all[i])
			all = slices.Delete(all, i, i+1)
		}
		found := kept.topics(s.filter)
		slices.Sort(found)
		var want []string
		for _, topic := range topics {
			if Match(s.filter, topic) {
				want = append(want, topic)
			}
		}
		if !slices.Equal(found, want) {
			t.Fatalf("retained for %s: %q, want %q", s.filter, found, want)
		}
	}
	for _, topic := range topics {
		hits, _ := subs.match(topic, nil)
		want := 0
		for _, s := range all {
			if Match(s.filter, topic) {
				want++
				if !slices.Contains(hits, hit{sub: s}) {
					t.Errorf("%s does not find %s", topic, s.filter)
				}
			}
		}
		if len(hits) != want {
			t.Errorf("%s: %d hits, want %d", topic, len(hits), want)
		}
	}
	for range 2000 {
		p, f := randomName(r, "a", "b", "", "$x", "+"), randomName(r, "a", "b", "", "$x", "+")
		for _, topic := range topics {
			if Covers(p, f) && Match(f, topic) && !Match(p, topic) {
				t.Fatalf("%s covers %s, but does not match %s", p, f, topic)
			}
		}
	}
	for _, s := range all {
		subs.remove(s)
	}
	for _, topic := range topics {
		kept.set(&Message{Topic: topic}, 0)
	}
	if len(subs.root.next) != 0 || subs.count.Load() != 0 || len(kept.root.next) != 0 || kept.count != 0 || kept.bytes != 0 {
		t.Errorf("something is left: %v %v %d %d", subs.root.next, kept.root.next, kept.count, kept.bytes)
	}
}

func TestUsers(t *testing.T) {
	salt := []byte("saltsalt")
	sum := argon2.IDKey([]byte("pw"), salt, 1, 64, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	u, err := ParseUsers(fmt.Sprintf("# x\n\nanna:$argon2id$v=19$m=64,t=1,p=1$%s$%s\nbob:$2a$04$wyPDq9wJ5dcPyrfCQWAyEOvfUDBQy/jtuVJpH9bQO9Ut4lXF2XOKO\n", b64(salt), b64(sum)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, c := range []struct {
			name, password string
			want           bool
		}{{"anna", "pw", true}, {"anna", "pW", false}, {"anna", "", false}, {"otto", "pw", false}, {"", "", false}, {"bob", "pw", false}} {
			if got := u.Check(c.name, []byte(c.password)); got != c.want {
				t.Errorf("%s, %q: %v", c.name, c.password, got)
			}
		}
	}
	if len(u.checked) != 1 {
		t.Error("what was checked is not remembered, or more than that is")
	}
}
