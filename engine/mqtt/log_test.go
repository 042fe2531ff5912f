package mqtt

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// notebook is a log on a simulated disk, and what it was told.
type notebook struct {
	t       *testing.T
	disk    *env.Sim
	env     *env.Env
	log     *entryLog
	said    *saved
	quit    chan struct{}
	mu      sync.Mutex
	reports []string
}

func openNotebook(t *testing.T, disk *env.Sim) *notebook {
	t.Helper()
	world := *env.Real()
	world.FS = disk.Env().FS
	n := &notebook{t: t, disk: disk, env: &world, said: newSaved(), quit: make(chan struct{})}
	var err error
	n.log, err = openLog(n.env, "/d", n.said, n.quit, func(line string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.reports = append(n.reports, line)
	}, func(string, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *notebook) reported(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(strings.Join(n.reports, "\n"), text)
}

func (n *notebook) retain(topic, payload string) {
	n.log.add(func(b []byte) []byte { return putRetained(b, &Message{Topic: topic, Payload: []byte(payload)}) })
}

// tell writes something of every kind, in groups; it returns what stands after each group.
func (n *notebook) tell() (after []string) {
	m := newSaved()
	groups := everyEntry()
	for _, group := range groups {
		for _, body := range group {
			if err := m.apply(body); err != nil {
				n.t.Fatalf("%x: %v", body, err)
			}
			n.log.add(func(b []byte) []byte { return append(b, body...) })
		}
		if err := n.log.wait(); err != nil {
			n.t.Fatal(err)
		}
		after = append(after, m.text())
	}
	return after
}

func everyEntry() [][][]byte {
	message := func(topic, payload string) *Message {
		return &Message{Topic: topic, Payload: []byte(payload), QoS: 1, props: []byte{1, 1}, Expires: 99 << 50}
	}
	sub := &subscription{filter: "$share/g/a/+", id: 7, options: Filter{QoS: 2, RetainHandling: 2, RetainAsPublished: true}}
	queued := func(seq uint64, payload string) []byte {
		return putQueued(nil, 5, &savedMessage{seq: seq, qos: 2, ids: []uint32{1, 300}, message: message("a/b", payload)})
	}
	return [][][]byte{
		{putSession(nil, &savedSession{number: 5, id: "five", principal: "p", expiry: 1_000_000}), putWill(nil, 5, message("a/w", "gone"), 30)},
		{putRetained(nil, message("r/1", "one")), putRetained(nil, message("r/2", "two")), putSub(nil, 5, sub)},
		{queued(1, "x"), queued(2, "y"), queued(3, "z"), entryOf(nil, entrySent, 5, 1, 17), entryOf(nil, entrySent, 5, 2, 18)},
		{entryOf(nil, entryReleased, 5, 1), entryOf(nil, entryDone, 5, 2), entryOf(nil, entryFreed, 5, 9, 1), entryOf(nil, entryFreed, 5, 9+olderReleased, 2),
			putRelease(nil, 5, release{9, 3}, 64), putRelease(nil, 5, release{40_000, 4}, 70), putRelease(nil, 5, release{9, 5}, 64)},
		{entryOf(nil, entryAway, 5, 12345, 2_000_000), putRetained(nil, &Message{Topic: "r/1"})},
		{putSession(nil, &savedSession{number: 6, id: "six"}), putSession(nil, &savedSession{number: 7, id: "five"}), entryOf(nil, entryEnd, 6)},
		{putSub(nil, 7, sub), putBytes(entryOf(nil, entryUnsub, 7), sub.filter), putWill(nil, 7, nil, 0)},
	}
}

// text is everything, entry by entry.
func (m *saved) text() string { return fmt.Sprintf("%x", m.append(nil)) }

// What was confirmed is there after the log was cut at any byte; what was not is there whole, or not at all.
func TestLogTorn(t *testing.T) {
	n := openNotebook(t, env.NewSim(1))
	after := n.tell()
	n.log.close()
	file := n.log.name(1, "log")
	whole := contents(t, n.env, file)
	if len(whole) < 300 {
		t.Fatalf("a log of %d bytes", len(whole))
	}
	entries := 0
	for cut := 0; cut <= len(whole); cut++ {
		disk := env.NewSim(1)
		world := disk.Env()
		if err := world.FS.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		torn := slices.Clone(whole[:min(cut+9, len(whole))]) // what a torn write may leave
		for i := cut; i < len(torn); i++ {
			torn[i] ^= 0xa5
		}
		put(t, world, file, torn)
		got := openNotebook(t, disk)
		if cut == len(whole) && got.said.text() != after[len(after)-1] {
			t.Error("the whole log says something else")
		}
		want, end := newSaved(), 0
		for end < cut {
			body, size, ok := entryAt(whole[:cut], end, 1)
			if size == 0 || !ok {
				break
			}
			end += size
			if err := want.apply(body); err != nil {
				t.Fatal(err)
			}
			if cut == len(whole) {
				entries++
			}
		}
		if got.said.text() != want.text() || len(got.reports) > 0 {
			t.Errorf("cut at %d: %s, reports %q", cut, got.said.text(), got.reports)
		}
		got.retain("more", "1")
		if err := got.log.wait(); err != nil {
			t.Fatal(err)
		}
		got.log.close()
		if again := openNotebook(t, disk); again.said.retained["more"] == nil {
			t.Errorf("cut at %d: what came after is lost", cut)
		} else {
			again.log.close()
		}
	}
	if entries < 20 {
		t.Errorf("%d entries", entries)
	}
}

// A flipped bit costs one entry, and is told.
func TestLogRot(t *testing.T) {
	n := openNotebook(t, env.NewSim(1))
	for i := range 10 {
		n.retain(fmt.Sprint("t/", i), strings.Repeat("x", i+1))
	}
	if err := n.log.wait(); err != nil {
		t.Fatal(err)
	}
	n.log.close()
	whole := contents(t, n.env, n.log.name(1, "log"))
	for at := range whole {
		disk := env.NewSim(1)
		if err := disk.Env().FS.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(whole)
		bad[at] ^= 1 << (at % 8)
		put(t, disk.Env(), n.log.name(1, "log"), bad)
		got := openNotebook(t, disk)
		last := len(whole) - at
		if len(got.said.retained) != 9 || len(got.reports) != 1 && last > 40 {
			t.Fatalf("byte %d: %d of 10 are left, told: %q", at, len(got.said.retained), got.reports)
		}
		got.log.close()
	}
}

// A snapshot says what the logs said, whatever moment the power fails at.
func TestLogCompacts(t *testing.T) {
	for _, point := range []string{"", "mqtt.before-write", "mqtt.before-sync", "mqtt.snapshot"} {
		disk := env.NewSim(1)
		n := openNotebook(t, disk)
		after := n.tell()
		n.log.close()
		n = openNotebook(t, disk)
		n.log.close() // the writer has gone: this goroutine is it now
		n.env.Point = func(name string) {
			if name == point {
				disk.Crash(1)
			}
		}
		n.log.compact()
		n.log.close()
		if point == "mqtt.snapshot" != n.reported("cannot be cleared away") {
			t.Errorf("%s: %q", point, n.reports)
		}
		for i := range 3 {
			n = openNotebook(t, disk)
			if n.said.text() != after[len(after)-1] {
				t.Errorf("%s, %d: it says %s", point, i, n.said.text())
			}
			n.log.close()
		}
		if point != "" {
			continue
		}
		if files, err := n.env.FS.ReadDir("/d"); err != nil || len(files) != 5 {
			t.Errorf("%d files, %v", len(files), err)
		}
	}
}

// A snapshot does not hold what has expired.
func TestLogForgets(t *testing.T) {
	disk := env.NewSim(1)
	n := openNotebook(t, disk)
	now := n.env.Clock.Now()
	for topic, expires := range map[string]int64{"never": 0, "past": now.UnixMicro() - 1, "later": now.Add(time.Hour).UnixMicro()} {
		n.log.add(func(b []byte) []byte {
			return putRetained(b, &Message{Topic: topic, Payload: []byte("x"), Expires: expires})
		})
	}
	n.log.close()
	n.log.compact() // the writer has gone: this goroutine is it now
	n.log.close()
	n = openNotebook(t, disk)
	defer n.log.close()
	if got := slices.Sorted(maps.Keys(n.said.retained)); !slices.Equal(got, []string{"later", "never"}) || len(n.reports) > 0 {
		t.Errorf("it says %q, reports %q", got, n.reports)
	}
}

// stuckStage is a stage whose disk stops answering once it is told to, and then begins nothing but one sync until release.
func stuckStage(t *testing.T) (st *stage, say func(lines ...string), stuck *atomic.Bool, begun chan struct{}, release func()) {
	stuck, begun = &atomic.Bool{}, make(chan struct{}, 1)
	free := make(chan struct{})
	st, err := newStage(func(name string) {
		if name == "mqtt.before-sync" && stuck.Load() {
			select {
			case begun <- struct{}{}:
			default:
			}
			<-free
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { close(free) })
	t.Cleanup(func() {
		release()
		st.inlet.release(nil)
		st.s.Close()
	})
	return st, func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			if err := st.do(line); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
	}, stuck, begun, release
}

// silent fails when something comes on a client's connection.
func (st *stage) silent(t *testing.T, client string) {
	t.Helper()
	c := st.clients[client]
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || len(c.buf) > 0 {
		t.Errorf("before it is on disk: %x, and %d bytes, %v", c.buf, n, err)
	}
	c.SetReadDeadline(time.Time{})
}

// alone makes a server read what follows with a goroutine of the connection's own, and not with a sweeper.
const alone = "82 06 00 63 00 01 62 00 "

// A retained message is acknowledged when it is on disk, and not before; so is one that clears what another one has just cleared.
func TestClearedTwice(t *testing.T) {
	for _, first := range []string{"", alone} {
		st, say, stuck, begun, release := stuckStage(t)
		say("@p 3 clean", "@q 3 clean", "@p > 33 ~ 'a/1' 00 01 31", "@p < 40 02 00 01")
		stuck.Store(true)
		say("@p > " + first + "33 ~ 'a/1' 00 02")
		<-begun
		if first != "" {
			say("@p < 90 03 00 63 00")
		}
		say("@q > 33 ~ 'a/1' 00 01")
		st.silent(t, "q")
		st.silent(t, "p")
		release()
		say("@p < 40 02 00 02", "@q < 40 02 00 01")
	}
}

// CONNACK of a new session and PUBCOMP come when what they confirm is on disk, and not before.
func TestConfirmedWhenNoted(t *testing.T) {
	for _, c := range []struct{ before, asks, answer string }{
		{"@a open", "@a > 10 ~ 'MQTT' 04 00 00 3C 'a'", "@a < 20 02 00 00"},
		{"@a 3 keep", "@a > 62 02 00 01", "@a < 70 02 00 01"},
	} {
		st, say, stuck, begun, release := stuckStage(t)
		say(c.before)
		stuck.Store(true)
		say(c.asks)
		<-begun
		st.silent(t, "a")
		release()
		say(c.answer)
	}
}

// PUBCOMP does not come for what could never be written down, also not when the server stops.
func TestNotConfirmed(t *testing.T) {
	for _, version := range []string{"3", "5"} {
		st, say, _, _, _ := stuckStage(t)
		say("@a " + version + " keep")
		if err := st.s.log.Load().wait(); err != nil {
			t.Fatal(err)
		}
		st.disk.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO, Times: -1})
		say("@a > 62 02 00 01")
		st.silent(t, "a")
		if err := st.s.Close(); err != nil {
			t.Fatal(err)
		}
		c := st.clients["a"]
		c.SetReadDeadline(time.Now().Add(longEnough))
		rest, _ := io.ReadAll(c)
		if len(rest) > 0 && rest[0] == 0x70 {
			t.Errorf("version %s: it is confirmed: %x", version, rest)
		}
	}
}

// An identifier that is in flight is not another message's when they have come around.
func TestIDsComeAround(t *testing.T) {
	st, say, _, _, _ := stuckStage(t)
	say("@s 3 keep", "@s > 82 ~ 00 01 'a/b' 01", "@s < 90 ~ 00 01 01", "@p 3 clean",
		"@p > 32 ~ 'a/b' 00 01 31", "@p < 40 02 00 01", "@s < 32 ~ 'a/b' 00 01 31")
	st.s.mu.Lock()
	for _, sess := range st.s.sessions {
		sess.mu.Lock()
		sess.nextID = 65_535
		sess.mu.Unlock()
	}
	st.s.mu.Unlock()
	say("@p > 32 ~ 'a/b' 00 01 32", "@p < 40 02 00 01", "@s < 32 ~ 'a/b' 00 02 32")
}

// What the inlet has refused stays refused when the log then has its part.
func TestRefusedThenNoted(t *testing.T) {
	for _, first := range []string{"", alone} {
		_, say, stuck, begun, release := stuckStage(t)
		say("inlet hold", "@a 3 keep", "@a > "+alone, "@a < 90 03 00 63 00") // again it changes nothing, and has not to be written down
		stuck.Store(true)
		say("@a > " + first + "35 ~ 'a/1' 00 01 31")
		<-begun
		if first != "" {
			say("@a < 90 03 00 63 00")
		}
		say("inlet a/1 1 2 retain", "inlet fail")
		release()
		say("@a < ends", "@a 3 keep present", "@a > 3D ~ 'a/1' 00 01 31", "inlet a/1 1 2 retain resent", "@a < 50 02 00 01")
	}
}

// While the disk is full nothing is confirmed, and what came meanwhile is not lost.
func TestLogFull(t *testing.T) {
	disk := env.NewSim(1)
	n := openNotebook(t, disk)
	disk.Fail(env.Fault{Op: env.OpWrite, Err: syscall.ENOSPC, Times: 3})
	n.retain("a", "1")
	n.retain("b", "2")
	if err := n.log.wait(); err != nil {
		t.Fatal(err)
	}
	if !n.reported("cannot be written down") {
		t.Errorf("it did not fail: %q", n.reports)
	}
	n.log.close()
	n = openNotebook(t, disk)
	if len(n.said.retained) != 2 {
		t.Errorf("%d are there", len(n.said.retained))
	}
	// One that stops does not wait for a disk that does not answer.
	disk.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO, Times: -1})
	n.retain("c", "3")
	done := make(chan error, 1)
	n.log.after(func(err error) { done <- err })
	close(n.quit)
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was confirmed")
		}
	case <-time.After(time.Minute):
		t.Error("it waits for ever")
	}
	n.log.close()
}

func contents(t *testing.T, e *env.Env, name string) []byte {
	t.Helper()
	f, err := e.FS.Open(name, env.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, e *env.Env, name string, b []byte) {
	t.Helper()
	f, err := e.FS.Open(name, env.Create)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := e.FS.SyncDir("/d"); err != nil {
		t.Fatal(err)
	}
}

// A client that takes its will back meets the end of its connection when that is on disk, or, if the disk does not answer, after a while.
func TestFarewell(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint("answers ", answers), func(t *testing.T) {
			t.Parallel()
			st, say, stuck, begun, release := stuckStage(t)
			say("@w open", "@w > 10 ~ 'MQTT' 04 0C 00 3C 'w' 'a/will' 'x'", "@w < 20 02 00 00")
			if err := st.s.log.Load().wait(); err != nil {
				t.Fatal(err)
			}
			stuck.Store(true)
			say("@w > E0 00")
			<-begun
			if answers {
				st.silent(t, "w")
				release()
				say("@w < ends", "count wills_taken_back_late 0")
				return
			}
			say("@w < ends", "count wills_taken_back_late 1")
		})
	}
}
