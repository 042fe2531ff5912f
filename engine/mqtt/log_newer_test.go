package mqtt

import (
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestLogNewer: entries of kinds that only a newer binary knows are told as what they are, wherever they stand, also of sessions that are
// not there, and cost nothing that stands beside them. What is damaged is told as damage.
func TestLogNewer(t *testing.T) {
	session := putSession(nil, &savedSession{number: 5, id: "five", expiry: 1})
	retained := putRetained(nil, &Message{Topic: "t", Payload: []byte("x")})
	newer, absent, bare := putBytes(entryOf(nil, entryKinds, 5), "a/+"), entryOf(nil, entryKinds+1, 77), []byte{0xff}
	none := append([]byte{0}, session[1:]...)
	for _, c := range []struct {
		name           string
		entries        [][]byte
		newer, damaged int64
	}{
		{"none", [][]byte{session, retained}, 0, 0},
		{"between", [][]byte{session, newer, retained}, 1, 0},
		{"at the end", [][]byte{session, retained, newer}, 1, 0},
		{"of no session", [][]byte{absent, session, absent, retained}, 2, 0},
		{"without a session", [][]byte{session, bare, retained, bare}, 2, 0},
		{"beside damage", [][]byte{session, none, newer, retained}, 1, 1},
		{"behind damage, at the end", [][]byte{session, retained, none, newer}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := env.NewSim(1)
			var b []byte
			for _, body := range c.entries {
				b = appendEntry(b, func(dst []byte) []byte { return append(dst, body...) })
			}
			seal(b, 1, 0)
			if err := disk.Env().FS.MkdirAll("/d"); err != nil {
				t.Fatal(err)
			}
			put(t, disk.Env(), "/d/0000000000000001.log", b)
			n, counts := openNotebook(t, disk), map[string]int64{}
			defer n.log.close()
			if !slices.Equal(n.sawNewer(), []bool{c.newer > 0, c.damaged > 0}) {
				t.Errorf("told: %q", n.reports)
			}
			n.log.count = func(name string, k int64) { counts[name] += k }
			again := newSaved()
			if _, err := n.log.replay(0, []uint64{1}, again); err != nil {
				t.Fatal(err)
			}
			if counts["log_newer"] != c.newer || counts["log_damage"] != c.damaged {
				t.Errorf("counted %v, want %d newer and %d damaged", counts, c.newer, c.damaged)
			}
			if n.said.sessions[5] == nil || n.said.retained["t"] == nil {
				t.Errorf("of what stands beside them is left: %s", n.said.text())
			}
		})
	}
}

// sawNewer is whether newer entries were told, and damage.
func (n *notebook) sawNewer() []bool {
	return []bool{n.reported("written by a newer version"), n.reported("cannot be read")}
}
