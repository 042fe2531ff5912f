package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/engine/query"
)

// workerSpare is what a worker's process may take beyond its statement's memory, bytes: the program,
// the threads' stacks, and what DuckDB does not count.
const workerSpare = 768 << 20

// queryWorkerCommand returns the hidden command that answers one request on standard input.
func (a *app) queryWorkerCommand() *cobra.Command {
	return &cobra.Command{
		Use: workerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			sum, err := a.work()
			said := query.Said{Done: &sum}
			if err != nil {
				p := (*query.Problem)(nil)
				if !errors.As(err, &p) {
					p = &query.Problem{Message: err.Error(), Ours: true}
				}
				said = query.Said{Problem: p}
			}
			line, bad := json.Marshal(said)
			if bad == nil {
				_, bad = fmt.Fprintf(a.err, "\n%s\n", line)
			}
			if err != nil || bad != nil {
				return &failure{code: exitFailed}
			}
			return nil
		},
	}
}

func (a *app) work() (query.Summary, error) {
	// It is the parent's to decide what an interrupt means. Where nobody takes the rows, as behind `| head`, writing fails, and
	// the problem says so: the signal would end this process without a word.
	signal.Ignore(os.Interrupt, syscall.SIGPIPE)
	in := bufio.NewReader(a.in)
	line, err := in.ReadBytes('\n')
	if err != nil {
		_ = os.RemoveAll(os.Getenv(scratchVar))
		return query.Summary{}, err
	}
	var q query.Request
	if err := json.Unmarshal(line, &q); err != nil {
		return query.Summary{}, err
	}
	confine(&q)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if q.Timeout > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, q.Timeout, query.Late(q.Timeout))
		defer done()
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the parent is gone, however it went
		_ = os.RemoveAll(q.Scratch)    // it cannot any more
		os.Exit(exitFailed)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		cancel(&query.Problem{Message: "the statement was interrupted", Ours: true})
	}()
	defer os.RemoveAll(q.Scratch) // the parent does it too, if it is there
	return query.Run(ctx, a.env, &q, a.out)
}

// confine limits this process. What the system does not know is left out: the statement's own limits hold.
func confine(q *query.Request) {
	debug.SetMemoryLimit(workerSpare / 2)
	most := uint64(q.Memory + workerSpare)
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // before the engine
	if q.Polite {
		const nice = 10
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
	}
}
