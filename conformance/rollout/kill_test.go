package rollout

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

const childFolder = "TIDEMILL_ROLLOUT_CHILD"

const fileIngest = `ingest "file" "in" {
  to     = channel.c
  path   = "in.ndjson"
  follow = true
}
`

// TestChild is the process that is killed: it swaps versions as fast as it can.
func TestChild(t *testing.T) {
	dir := os.Getenv(childFolder)
	if dir == "" {
		t.Skip("this is run by TestKills")
	}
	w := newWorld(t, dir, fileIngest)
	e := w.open(false)
	go func() {
		fmt.Println("running")
		if err := e.Run(context.Background()); err != nil {
			fmt.Println("FAILED", err)
		}
	}()
	for i := 0; ; i++ {
		c := run.RolloutCommand{Action: "start", Name: "all", Plugin: "probe", Digest: w.digests[2+i%2], Share: 5000}
		err := e.Rollout(c)
		if err == nil {
			err = e.Rollout(run.RolloutCommand{Action: []string{"promote", "rollback"}[i/2%2], Name: "all"})
		}
		if err != nil {
			fmt.Println("FAILED", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestKills kills the process 50 times in the midst of swaps. What comes out in the end is what the journal says.
func TestKills(t *testing.T) {
	w := newWorld(t, t.TempDir(), fileIngest)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	seq := 0
	for round := range 50 {
		var more strings.Builder
		for range 400 {
			temp := 4
			if seq%97 == 5 {
				temp = 555
			}
			fmt.Fprintf(&more, "{\"device\": \"d%d\", \"seq\": %d, \"temp\": %d}\n", seq%20, seq, temp)
			seq++
		}
		w.more(more.String())
		w.kill(time.Duration(random.IntN(150))*time.Millisecond, round)
	}
	w.write("p.hcl", text+strings.Replace(fileIngest, "  follow = true\n", "", 1))
	e := w.open(true)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	w.must(e.Run(ctx))
	w.must(e.Close())
	swaps := w.compare()
	if swaps < 100 {
		t.Errorf("only %d swaps of partitions happened", swaps)
	}
	t.Logf("%d rows, %d swaps of partitions", seq, swaps)
}

func (w *world) more(lines string) {
	f, err := os.OpenFile(filepath.Join(w.dir, "in.ndjson"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	w.must(err)
	_, err = f.WriteString(lines)
	w.must(err)
	w.must(f.Close())
}

// kill runs the child and kills it so long after it began.
func (w *world) kill(after time.Duration, round int) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childFolder+"="+w.dir)
	out := &watch{began: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	w.must(cmd.Start())
	select {
	case <-out.began:
	case <-time.After(2 * time.Minute):
		w.t.Errorf("round %d: the process does not begin: %s", round, out.text.String())
	}
	time.Sleep(after)
	w.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	if strings.Contains(out.text.String(), "FAILED") || !strings.Contains(out.text.String(), "running") {
		w.t.Fatalf("round %d: %s", round, out.text.String())
	}
}

// watch tells when the child runs.
type watch struct {
	text  bytes.Buffer
	began chan struct{}
	seen  bool
}

func (w *watch) Write(b []byte) (int, error) {
	n, err := w.text.Write(b)
	if !w.seen && strings.Contains(w.text.String(), "running") {
		w.seen = true
		close(w.began)
	}
	return n, err
}
