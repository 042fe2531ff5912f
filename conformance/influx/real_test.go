package influx

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
)

// awayVar says for how long the server is away in TestRealHourAway, such as 10m.
const awayVar = "TIDEMILL_AWAY"

const (
	realFleet = 200
	realRate  = 2_000 // records a second
)

// side is one of two engines that get the same records: of one the server is there, of the other it goes away.
type side struct {
	*rig.Work
	r       *recorder
	server  *httptest.Server
	p       *rig.Process
	in, out *os.File
	rows    int // in the file's sink
	behind  int // records, summed over samples
}

func newSide(t *testing.T) *side {
	t.Helper()
	dir := t.TempDir()
	s := &side{r: &recorder{last: map[string]int{}}, Work: &rig.Work{Binary: binary, Dir: filepath.Join(dir, "conf"), Data: filepath.Join(dir, "data")}}
	s.server = httptest.NewServer(s.r)
	t.Cleanup(s.server.Close)
	text := strings.NewReplacer("URL", s.server.URL, "DIR", dir, `"5s"`, `"1s"`).Replace(hourFiles)
	must(t, os.Mkdir(s.Dir, 0o755))
	must(t, os.WriteFile(s.Dir+"/p.hcl", []byte(text), 0o644))
	var err error
	s.in, err = os.Create(dir + "/in.ndjson")
	must(t, err)
	t.Cleanup(func() { must(t, s.in.Close()) })
	s.p, err = s.Start(nil)
	must(t, err)
	t.Cleanup(func() { s.p.Kill() })
	for end := time.Now().Add(patience); s.out == nil; time.Sleep(20 * time.Millisecond) {
		if s.out, err = os.Open(dir + "/out.ndjson"); time.Now().After(end) {
			t.Fatalf("the engine does not write: %v\n%s", err, s.p.Said())
		}
	}
	t.Cleanup(func() { must(t, s.out.Close()) })
	return s
}

// look counts what the file's sink has written since.
func (s *side) look(t *testing.T, fed int) {
	t.Helper()
	text, err := io.ReadAll(s.out)
	must(t, err)
	s.rows += bytes.Count(text, []byte("\n"))
	s.behind += fed - s.rows
}

// resident is the process's memory, bytes.
func (s *side) resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.p.Pid()))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	return kb << 10
}

// cpu is the time that the process has had, in ticks of the system.
func (s *side) cpu(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.p.Pid()))
	must(t, err)
	f := strings.Fields(string(text)[strings.LastIndex(string(text), ")")+1:])
	user, err := strconv.Atoi(f[11])
	must(t, err)
	system, err := strconv.Atoi(f[12])
	must(t, err)
	return user + system
}

// realFeed gives both sides the same records at a steady rate.
type realFeed struct {
	t     *testing.T
	sides [2]*side
	fed   int
	next  time.Time
}

// tick feeds what has become due in a tenth of a second, and looks at both.
func (f *realFeed) tick() {
	f.t.Helper()
	var text bytes.Buffer
	at := time.Now().UTC().Format(time.RFC3339Nano)
	for range realRate / 10 {
		fmt.Fprintf(&text, `{"device":"d%d","ts":%q,"n":%d,"temp":%d.5}`+"\n", f.fed%realFleet, at, f.fed/realFleet, f.fed%40)
		f.fed++
	}
	for _, s := range f.sides {
		_, err := s.in.Write(text.Bytes())
		must(f.t, err)
	}
	f.next = f.next.Add(time.Second / 10)
	time.Sleep(time.Until(f.next))
	for _, s := range f.sides {
		s.look(f.t, f.fed)
	}
}

// TestRealHourAway is TestAnHourAway with two real processes and real time, side by side on one machine, so that what
// else it does disturbs both alike.
func TestRealHourAway(t *testing.T) {
	if !soak() {
		t.Skip("takes an hour: make soak")
	}
	long := time.Hour
	if text := os.Getenv(awayVar); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		must(t, err)
	}
	here, gone := newSide(t), newSide(t)
	f := &realFeed{t: t, sides: [2]*side{here, gone}, next: time.Now()}
	for range 200 {
		f.tick()
	}
	before, after := gone.r.count(), 0
	if before == 0 {
		t.Fatal("no point has come")
	}
	gone.r.away.Store(true)
	here.behind, gone.behind = 0, 0
	cpu := [2]int{here.cpu(t), gone.cpu(t)}
	began, early, most, samples := time.Now(), 0, 0, 0
	for time.Since(began) < long {
		f.tick()
		samples++
		if r := gone.resident(t); time.Since(began) < long/3 {
			early = max(early, r)
		} else {
			most = max(most, r)
		}
	}
	a, b := float64(here.behind)/float64(samples)/realRate, float64(gone.behind)/float64(samples)/realRate
	cpu = [2]int{here.cpu(t) - cpu[0], gone.cpu(t) - cpu[1]}
	waiting := f.fed - gone.r.count()
	gone.r.away.Store(false)
	back := time.Now()
	for after = gone.r.count(); after < f.fed-2*realRate; after = gone.r.count() {
		if time.Since(back) > max(long/5, time.Minute) { // of a short time, the pause between tries is the most
			t.Fatalf("%d of %d points are there %v after the server came back", after, f.fed, time.Since(back))
		}
		f.tick()
	}
	took := time.Since(back)
	t.Logf("%v away, %d records a second: the file's sink is %.3f s behind on average, beside it %.3f s (%+.1f %%); CPU %d ticks, beside it %d; memory at most %d MB in the first third and %d MB after; %d points waited and were there within %v, %.0f times as fast as they came",
		long, realRate, b, a, 100*(b/a-1), cpu[1], cpu[0], early>>20, most>>20, waiting, took.Round(time.Millisecond), long.Seconds()/took.Seconds())
	if b > a*1.05 {
		t.Errorf("with the server away the file's sink is %.3f s behind, and %.3f s otherwise", b, a)
	}
	if most > early+early/4+(32<<20) {
		t.Errorf("memory has grown from %d to %d bytes", early, most)
	}
	for _, s := range f.sides {
		if d := s.r.disorder; len(d) > 0 {
			t.Errorf("out of order, missing or twice: %d, such as %s", len(d), d[0])
		}
	}
}
