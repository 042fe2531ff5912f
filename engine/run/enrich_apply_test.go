package run_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/enrich"
)

// library is a web server that gives out a table, whose one column says which one it is.
type library struct {
	mu     sync.Mutex
	table  int
	mood   string // "", or how it fails
	asked  int
	over   chan struct{}
	server *httptest.Server
}

func newLibrary(t *testing.T) *library {
	b := &library{table: 1, over: make(chan struct{})}
	b.server = httptest.NewServer(b)
	t.Cleanup(func() {
		close(b.over)
		b.server.Close()
	})
	return b
}

func (b *library) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.asked++
	mood, text := b.mood, "device,table\n"
	for i := range 7 {
		text += fmt.Sprintf("d%d,%d\n", i, b.table)
	}
	b.mu.Unlock()
	switch mood {
	case "hangs":
		select {
		case <-r.Context().Done():
		case <-b.over:
		}
	case "half":
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		_, _ = w.Write([]byte(text[:len(text)/2])) // and then the connection breaks
		panic(http.ErrAbortHandler)
	case "half of pieces":
		_, _ = w.Write([]byte(text[:len(text)/2]))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "half a line":
		_, _ = w.Write([]byte(strings.TrimSuffix(text, "\n")))
	case "fails":
		w.WriteHeader(http.StatusInternalServerError)
	default:
		_, _ = w.Write([]byte(text))
	}
}

// is has the library give out another table from now on, or fail.
func (b *library) is(table int, mood string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.table, b.mood = table, mood
}

func (b *library) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// slowly is done, beside what the kernel brings and not the machine that is stepped.
func slowly(done func() bool) func() bool {
	return func() bool {
		time.Sleep(20 * time.Microsecond)
		return done()
	}
}

// tables is which table each row met, in the order of n.
func (l *lab) tables(name string) []int {
	l.t.Helper()
	type row struct{ N, Table int }
	var rows []row
	for _, line := range l.lines(name) {
		var r row
		l.must(json.Unmarshal([]byte(line), &r))
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int { return a.N - b.N })
	var out []int
	for i, r := range rows {
		if r.N != i {
			l.t.Fatalf("row %d is %+v: each is to be there once", i, r)
		}
		out = append(out, r.Table)
	}
	return out
}

// TestApplyEnrich: while a configuration is applied the server of an enrich answers something new, hangs, breaks off or fails. No row is
// rejected, none meets an older table than one before it of the same partition, the new table is there soon after the server is well, and when all is closed nothing asks any more.
func TestApplyEnrich(t *testing.T) {
	for _, mood := range []string{"", "hangs", "half", "half of pieces", "half a line", "fails"} {
		t.Run("it "+mood, func(t *testing.T) {
			l, b := newLab(t), newLibrary(t)
			l.more = []stage.Spec{enrich.HTTP()}
			text := func(path, more string) string {
				return strings.Replace(telemetry, "key    = device", "key    = device\n  partitions = 2", 1) + followed + fmt.Sprintf(`pipeline "p" {
  from = channel.c
  enrich "http" "lib" {
    url     = "%s/%s.csv"
    by      = [device]
    columns = { device = string, table = integer }
    refresh = "2s"
    timeout = "200ms"
    missing = "reject"
  }
  sink "file" "rows" {
    from = enrich.lib
    path = "/out/p.ndjson"
  }
}
`, b.server.URL, path) + more
			}
			fed := 0
			feed := func() {
				l.feed(records(fed, 14))
				fed += 14
				end := l.machine.Env().Clock.Now().Add(250 * time.Millisecond)
				l.steps(slowly(func() bool { return l.machine.Env().Clock.Now().After(end) && len(l.lines("/out/p.ndjson")) == fed }))
			}
			// newest waits until all rows meet a table.
			newest := func(table int) {
				for limit := time.Now().Add(time.Minute); ; {
					feed()
					if got := l.tables("/out/p.ndjson"); slices.Min(got[fed-14:]) == table {
						return
					}
					if time.Now().After(limit) {
						t.Fatalf("not in a minute: table %d; reports %q", table, l.reports)
					}
				}
			}
			l.open(text("a", ""), false)
			newest(1)

			b.is(2, mood)
			before := b.count()
			l.steps(slowly(func() bool { return b.count() > before })) // it is in the middle of an answer, or has just broken off
			l.must(l.swap(text("a", copying("q"))))
			for range 12 { // longer than refresh
				feed()
			}
			if got := l.tables("/out/p.ndjson"); mood != "" && slices.Max(got) != 1 {
				t.Errorf("a table that the server never gave out whole is used: %v", got)
			}
			l.must(l.swap(text("a", "")))
			b.is(3, "")
			asked, began := b.count(), l.machine.Env().Clock.Now()
			newest(3)
			t.Logf("the new table was there after %s and %d requests", l.machine.Env().Clock.Now().Sub(began), b.count()-asked)
			if n := b.count() - asked; n > 3 {
				t.Errorf("the new table was used only after %d requests", n)
			}

			b.is(4, mood) // and another place is asked, which has to answer
			err := l.swap(text("b", ""))
			feed()
			switch got := l.tables("/out/p.ndjson"); {
			case mood == "" && (err != nil || slices.Min(got[fed-14:]) != 4):
				t.Errorf("another place: %v, %v", err, got[fed-14:])
			case mood != "" && (err == nil || slices.Max(got) != 3 || !strings.Contains(err.Error(), "cannot be used as a table")):
				t.Errorf("another place, where nothing is: %v, %v", err, got[fed-14:])
			}
			l.checkTables()
			l.close()
			nobodyAsks(t)
		})
	}
}

// checkTables looks whether any partition went back to an older table, or refused a row.
func (l *lab) checkTables() {
	l.t.Helper()
	before := map[int]int{}
	for n, table := range l.tables("/out/p.ndjson") {
		device := n % 7 // which is in one partition
		if table < before[device] {
			l.t.Errorf("row %d meets table %d, and one before it met %d", n, table, before[device])
		}
		before[device] = table
	}
	if got := l.lines("/data/rejects/p.ndjson"); len(got) > 0 {
		l.t.Errorf("%d rejects, such as %s", len(got), got[0])
	}
}

// nobodyAsks looks whether a goroutine of a request is left, or of a connection that it kept.
func nobodyAsks(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		text := string(stacks[:runtime.Stack(stacks, true)])
		left := ""
		for _, of := range []string{"enrich.(*server)", "http.(*persistConn)"} {
			if strings.Contains(text, of) {
				left = of
			}
		}
		if left == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("a goroutine of %s is left", left)
		}
	}
}

// TestEnrichOnce: all partitions of an enrich ask its server as one, also while another configuration takes over: once at the start, once at the
// first tick, and not for an apply.
func TestEnrichOnce(t *testing.T) {
	l, b := newLab(t), newLibrary(t)
	l.more = []stage.Spec{enrich.HTTP()}
	text := strings.Replace(telemetry, "key    = device", "key    = device\n  partitions = 4", 1) + followed + fmt.Sprintf(`pipeline "p" {
  from = channel.c
  enrich "http" "lib" {
    url     = "%s/a.csv"
    by      = [device]
    columns = { device = string, table = integer }
    refresh = "1h"
    missing = "reject"
  }
  sink "file" "rows" {
    from = enrich.lib
    path = "/out/p.ndjson"
  }
}
`, b.server.URL)
	l.feed(records(0, 100))
	l.open(text, false)
	l.steps(slowly(func() bool { return b.count() > 1 }))
	l.settle()
	l.must(l.swap(text + copying("q")))
	l.feed(records(100, 100))
	l.settle()
	if got := l.tables("/out/p.ndjson"); len(got) != 200 || slices.Min(got) != 1 {
		t.Errorf("%d rows: %v", len(got), got)
	}
	if n := b.count(); n != 2 {
		t.Errorf("%d requests", n)
	}
	l.close()
	nobodyAsks(t)
}
