package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/conformance/rig"
)

const httpFiles = `
engine {
  checkpoint = "50ms"
}
channel "c" {
  key    = device
  schema = { device = string, id = string }
}
ingest "http" "in" {
  to     = channel.c
  listen = %q
  wait   = "2s"
}
pipeline "p" {
  from = channel.c
  sink "file" "out" {
    path = "out.ndjson"
  }
  sink "http" "hook" {
    url        = %q
    batch_rows = 7
    format     = "ndjson"
  }
}
`

// receiver is a server that takes each Idempotency-Key once, and fails now and then:
// before it takes a request, and after.
type receiver struct {
	mu   sync.Mutex
	rng  *rand.Rand
	seen map[string]bool
	ids  map[string]int
	all  int // requests
}

func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all++
	if err != nil || h.rng.IntN(150) == 0 {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if key := r.Header.Get("Idempotency-Key"); !h.seen[key] {
		h.seen[key] = true
		for line := range strings.Lines(string(body)) {
			h.ids[idOf(line)]++
		}
	}
	if h.rng.IntN(150) == 0 {
		panic(http.ErrAbortHandler)
	}
}

func (h *receiver) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ids)
}

func idOf(line string) string {
	var row struct{ ID string }
	if json.Unmarshal([]byte(line), &row) != nil {
		return "no row: " + line
	}
	return row.ID
}

// sender posts requests, each under a key, until each is acknowledged.
type sender struct {
	url    string
	client http.Client
	acked  atomic.Int64 // requests
	tries  atomic.Int64
	want   sync.Map // ids
}

func (s *sender) run(ctx context.Context, name int) {
	rng := rand.New(rand.NewPCG(uint64(name), 1))
	for n := 0; ctx.Err() == nil; n++ {
		var body bytes.Buffer
		key := fmt.Sprintf("%d-%d", name, n)
		for i := range 1 + rng.IntN(6) {
			id := fmt.Sprintf("%s-%d", key, i)
			s.want.Store(id, true)
			fmt.Fprintf(&body, `{"device":"d%d","id":%q}`+"\n", rng.IntN(50), id)
		}
		for !s.post(key, body.Bytes()) { // also when the time is over: what was begun is finished
			time.Sleep(3 * time.Millisecond)
		}
	}
}

func (s *sender) post(key string, body []byte) bool {
	s.tries.Add(1)
	r, err := http.NewRequest("POST", s.url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Idempotency-Key", key)
	res, err := s.client.Do(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return false
	}
	s.acked.Add(1)
	return true
}

// TestHTTP kills the binary while clients post to it: every record is in the
// file once, and reaches a receiver that looks at keys once.
func TestHTTP(t *testing.T) {
	kills := 100
	if os.Getenv("TIDEMILL_SOAK") != "" {
		kills = 1000
	}
	hook := &receiver{rng: rand.New(rand.NewPCG(7, 7)), seen: map[string]bool{}, ids: map[string]int{}}
	server := httptest.NewServer(hook)
	defer server.Close()
	dir, listen := t.TempDir(), ports.Free(t)
	must(t, os.WriteFile(filepath.Join(dir, "a.hcl"), fmt.Appendf(nil, httpFiles, listen, server.URL), 0o644))
	s := &sender{url: "http://" + listen, client: http.Client{Timeout: 5 * time.Second}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() { s.run(ctx, i) })
	}
	rng, killed := rand.New(rand.NewPCG(3, 3)), 0
	points := []string{"journal.before-write", "journal.before-sync", "journal.after-sync", "checkpoint.after-rename", "sink.before-commit"}
	for killed < kills {
		var environ []string
		if killed%2 == 0 {
			environ = []string{rig.KillAt(points[rng.IntN(len(points))], 1+rng.IntN(20))}
		}
		cmd, said := start(t, dir, environ)
		had, atOnce := s.acked.Load(), environ != nil
		cancelKill := killOnce(cmd, time.Duration(60+rng.IntN(150))*time.Millisecond, func() bool { return atOnce || s.acked.Load() >= had+3 })
		err := cmd.Wait()
		cancelKill()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
			t.Fatalf("it was not killed but ended: %v\n%s", err, said)
		}
		killed++
	}
	acked := s.acked.Load()
	cmd, said := start(t, dir, nil)
	cancel()
	senders.Wait()
	want := 0
	s.want.Range(func(any, any) bool { want++; return true })
	for end := time.Now().Add(time.Minute); hook.count() < want && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out.ndjson"))
	must(t, err)
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		out[idOf(line)]++
	}
	wrong := 0
	s.want.Range(func(id, _ any) bool {
		if n := out[id.(string)]; n != 1 {
			wrong++
			t.Logf("%s is in the file %d times", id, n)
		}
		if n := hook.ids[id.(string)]; n != 1 {
			wrong++
			t.Logf("%s has reached the receiver %d times", id, n)
		}
		return wrong < 20
	})
	if wrong > 0 || len(out) != want || len(hook.ids) != want {
		t.Errorf("%d rows in the file, %d at the receiver, want %d", len(out), len(hook.ids), want)
	}
	if acked < int64(kills) {
		t.Errorf("%d requests were acknowledged between %d kills: the test proves little", acked, kills)
	}
	t.Logf("%d kills, %d requests acknowledged in %d tries, %d records; %d requests at the receiver, %d of them with new keys",
		killed, s.acked.Load(), s.tries.Load(), want, hook.all, len(hook.seen))
}

// killOnce kills a process after a time, and when it is ready: every other one only when it has taken requests, however
// slow the machine is. What is not ready within a minute is killed all the same.
func killOnce(cmd *exec.Cmd, after time.Duration, ready func() bool) (cancel func()) {
	over, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-over.Done():
			return
		case <-time.After(after):
		}
		for end := time.Now().Add(time.Minute); !ready() && time.Now().Before(end) && over.Err() == nil; {
			time.Sleep(time.Millisecond)
		}
		_ = cmd.Process.Kill()
	}()
	return cancel
}

func start(t *testing.T, dir string, environ []string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	said := &bytes.Buffer{}
	cmd := exec.Command(binary, "run", dir, "--quiet")
	cmd.Env, cmd.Stderr = append(os.Environ(), environ...), said
	must(t, cmd.Start())
	return cmd, said
}
