package influx

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
)

//go:embed work.hcl
var pipeline string

// bench is a folder in which the binary works against a server.
type bench struct{ *rig.Fed }

// newBench makes a folder with an empty input. address is where the sink writes to.
func newBench(t *testing.T, lines []string, address, database string) *bench {
	t.Helper()
	dir := t.TempDir()
	w := &rig.Work{Binary: binary, Dir: dir, Input: filepath.Join(dir, "input.ndjson"), Data: filepath.Join(dir, "data"), Out: filepath.Join(dir, "out")}
	text := strings.NewReplacer("URL", address, "DATABASE", database, "TOKEN", Token, "ROWS", strconv.Itoa(max(20, len(lines)/1000))).Replace(pipeline)
	must(t, os.WriteFile(filepath.Join(dir, "work.hcl"), []byte(text), 0o644))
	fed, err := rig.NewFed(w, lines)
	must(t, err)
	return &bench{fed}
}

// databases makes the database of a round, with its policies.
func databases(t *testing.T, s *Server, name string) {
	t.Helper()
	must(t, s.Create(name))
	_, err := s.do("POST", "/query", url.Values{"q": {fmt.Sprintf("CREATE RETENTION POLICY brief ON %q DURATION 1h REPLICATION 1", name)}})
	must(t, err)
}

// contents is all that a database holds, and what was rejected, a text each.
func (b *bench) contents(t *testing.T, s *Server, database string) []string {
	t.Helper()
	series, err := s.Query(database, `SELECT * FROM /.*/ GROUP BY *`)
	must(t, err)
	var out []string
	for _, x := range series {
		for _, v := range x.Values {
			text, err := json.Marshal([]any{x.Name, x.Tags, x.Columns, v})
			must(t, err)
			out = append(out, string(text))
		}
	}
	text, err := os.ReadFile(filepath.Join(b.Out, "rejects.ndjson"))
	must(t, err)
	// When a record was received, its offset among ticks, and the names of database and server are the run's own.
	own := regexp.MustCompile(`"(offset|received)":("[^"]*"|[0-9]+),|http://[0-9.:]+, bucket [A-Za-z0-9_]+/`)
	for line := range bytes.Lines(own.ReplaceAll(text, nil)) {
		out = append(out, string(line))
	}
	return out
}

// reference is what an undisturbed run leaves.
func reference(t *testing.T, s *Server, lines []string, database string) []string {
	t.Helper()
	databases(t, s, database)
	b := newBench(t, lines, s.URL(), database)
	must(t, b.Finish())
	want := b.contents(t, s, database)
	found := map[string]int{}
	for _, w := range want {
		for _, kind := range []string{`["warm"`, `["five_min"`, `["too_warm"`, "points beyond retention policy", `"stage":"channel.`} {
			if strings.Contains(w, kind) {
				found[kind]++
			}
		}
	}
	for _, kind := range []string{`["warm"`, `["five_min"`, `["too_warm"`, "points beyond retention policy", `"stage":"channel.`} {
		if found[kind] < 10 {
			t.Fatalf("the undisturbed run leaves %v: the test would prove little", found)
		}
	}
	t.Logf("the undisturbed run leaves %d points and rejects: %v", len(want), found)
	return want
}

// input makes the records of a fleet.
func input(t *testing.T, records int64) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "input.ndjson")
	must(t, rig.MakeInput(name, records, 1))
	text, err := os.ReadFile(name)
	must(t, err)
	return slices.Collect(strings.Lines(string(text)))
}

func soak() bool { return os.Getenv("TIDEMILL_SOAK") != "" }

// TestCuts cuts connections at every stage of a request, again and again: what
// is in influxd, and in the rejects, is as if nothing had been.
func TestCuts(t *testing.T) {
	s, name := database(t)
	lines := input(t, 6000)
	want := reference(t, s, lines, name+"_want")
	databases(t, s, name+"_cut")
	plan := func(n int) Cut {
		if n >= 48 {
			return Through
		}
		return []Cut{Before, Within, Answerless, HalfAnswer}[n%4]
	}
	p, err := NewProxy(s.Address, plan)
	must(t, err)
	defer p.Close()
	b := newBench(t, lines, p.URL(), name+"_cut")
	must(t, b.Finish())
	compare(t, b.contents(t, s, name+"_cut"), want)
	for _, c := range []Cut{Before, Within, Answerless, HalfAnswer} {
		if p.Cuts(c) < 10 {
			t.Errorf("%d connections were cut at stage %d", p.Cuts(c), c)
		}
	}
}

// TestServerKilled kills influxd with -9 while rows come, and starts it again.
func TestServerKilled(t *testing.T) {
	lines := input(t, 6000)
	s, err := NewServer(t.TempDir())
	must(t, err)
	defer func() { s.Kill() }()
	want := reference(t, s, lines, "want")
	databases(t, s, "killed")
	b := newBench(t, lines, s.URL(), "killed")
	p, err := b.Start(nil)
	must(t, err)
	defer p.Kill()
	rng := rand.New(rand.NewPCG(5, 5))
	for range 6 {
		for range 8 {
			must(t, b.Feed(110))
			time.Sleep(time.Duration(5+rng.IntN(20)) * time.Millisecond)
		}
		s.Kill()
		must(t, b.Feed(110))
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		must(t, s.Start())
	}
	p.Kill()
	must(t, b.Finish())
	compare(t, b.contents(t, s, "killed"), want)
}

// TestEngineKilled kills the engine at least three times a round, each time after at least
// three checkpoints, at the points it names. In every second round connections are cut as well.
func TestEngineKilled(t *testing.T) {
	rounds, records := 20, int64(60_000)
	if soak() {
		rounds = 60
	}
	s, name := database(t)
	lines := input(t, records)
	want := reference(t, s, lines, name+"_want")
	var disturb atomic.Bool
	p, err := NewProxy(s.Address, func(n int) Cut {
		if !disturb.Load() {
			return Through
		}
		return []Cut{Through, Before, Through, Within, Through, Answerless, Through, HalfAnswer}[n%8]
	})
	must(t, err)
	defer p.Close()
	points := []string{"checkpoint.after-rename", "sink.before-commit", "sink.prepared", "journal.after-sync", "journal.before-sync"}
	kills := 0
	for round := range rounds {
		rng := rand.New(rand.NewPCG(uint64(round), 11))
		db := fmt.Sprintf("%s_%d", name, round)
		databases(t, s, db)
		b := newBench(t, lines, p.URL(), db)
		disturb.Store(round%2 == 1)
		killed := 0
		for life := 0; killed < 3; life++ {
			// Three checkpoints, then a point that may lie anywhere in what follows.
			at := rig.KillAt("checkpoint.after-rename", 3+rng.IntN(4))
			if life%2 == 1 {
				point := points[1+rng.IntN(len(points)-1)]
				at = rig.KillAt(point, 3*3+rng.IntN(10)) // three sinks answer a checkpoint
			}
			run, err := b.Start([]string{at})
			must(t, err)
			for !run.Ended(8 * time.Millisecond) {
				must(t, b.Feed(int(records)/150))
				if b.All() && !run.Ended(300*time.Millisecond) {
					run.Kill()
				}
			}
			if !run.Killed() {
				t.Fatalf("round %d: the run ended by itself:\n%s", round, run.Said())
			}
			killed++
		}
		kills += killed
		disturb.Store(false)
		must(t, b.Finish())
		compare(t, b.contents(t, s, db), want)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		_, err := s.do("POST", "/query", url.Values{"q": {fmt.Sprintf("DROP DATABASE %q", db)}})
		must(t, err)
	}
	t.Logf("%d rounds, %d kills, %d connections cut", rounds, kills, p.Cuts(Before)+p.Cuts(Within)+p.Cuts(Answerless)+p.Cuts(HalfAnswer))
}
