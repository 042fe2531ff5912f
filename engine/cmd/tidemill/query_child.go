package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/engine/query"
)

const (
	// workerCommand is the hidden command of a process that answers one statement.
	workerCommand = "query-worker"
	// scratchVar tells a worker its folder before the request does: who asks may be gone by then.
	scratchVar = "TIDEMILL_QUERY_SCRATCH"
	// stopGrace is how long a worker may take to stop when it is asked to.
	stopGrace = 2 * time.Second
	// mostSaid is how much of what a worker says is kept, bytes.
	mostSaid = 64 << 10
)

// ask has a process of its own answer a request, and writes the answer to out. When ctx ends, so does the process.
func ask(ctx context.Context, q query.Request, out io.Writer) (sum query.Summary, err error) {
	if !query.Available {
		return sum, query.ErrUnavailable
	}
	if q.Scratch, err = os.MkdirTemp("", "tidemill-query-"); err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(q.Scratch)) }()
	request, err := json.Marshal(q)
	if err != nil {
		return sum, err
	}
	self, err := executable()
	if err != nil {
		return sum, err
	}
	if q.Timeout > 0 { // for a worker that does not even see that its time is over
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, q.Timeout+stopGrace, query.Late(q.Timeout))
		defer done()
	}
	var said tail
	cmd := exec.CommandContext(ctx, self, workerCommand)
	cmd.Args[0] = "tidemill"
	cmd.Env = []string{"TMPDIR=" + os.TempDir(), "GOTRACEBACK=none", scratchVar + "=" + q.Scratch}
	cmd.Stdout, cmd.Stderr = out, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return sum, err
	}
	if err := cmd.Start(); err != nil {
		return sum, err
	}
	_, broken := stdin.Write(append(request, '\n')) // stays open: its end tells the worker that we are gone
	ended := cmd.Wait()
	return judge(ctx, &said, errors.Join(ended, broken))
}

// judge finds out what has become of a worker.
func judge(ctx context.Context, said *tail, ended error) (query.Summary, error) {
	text := strings.TrimSpace(said.String())
	last := text[strings.LastIndexByte(text, '\n')+1:]
	var s query.Said
	if json.Unmarshal([]byte(last), &s) == nil {
		if s.Problem != nil {
			return query.Summary{}, s.Problem
		}
		if s.Done != nil && ended == nil {
			return *s.Done, nil
		}
	}
	if ctx.Err() != nil {
		if p := (*query.Problem)(nil); errors.As(context.Cause(ctx), &p) {
			return query.Summary{}, p
		}
		return query.Summary{}, &query.Problem{Message: "the statement was interrupted", Ours: true}
	}
	first, _, _ := strings.Cut(text, "\n")
	return query.Summary{}, &query.Problem{Message: fmt.Sprintf("the process that answers ended without an answer (%v: %.200s); most likely the statement takes more memory than it may",
		ended, first), Right: "select fewer columns or rows, or give it more memory"}
}

// executable is the file of this process, also after another was put in its place.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	if over := t.Len() - mostSaid; over > 0 {
		t.Next(over)
	}
	return n, err
}
