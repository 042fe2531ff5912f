package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// patience is how long a run may take before it counts as stuck.
const patience = 2 * time.Minute

// Process is a running binary.
type Process struct {
	cmd  *exec.Cmd
	err  lines
	done chan struct{}
}

// lines keeps what a process says.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// KillAt is the environment by which a run kills itself when it comes to a
// point (see env.Env) for the n-th time.
func KillAt(point string, n int) string { return fmt.Sprintf("%s=%s:%d", env.KillAtVar, point, n) }

// Start starts `tidemill run`. Words of prefix are a command in front of it, such as strace's.
func (w *Work) Start(environ []string, prefix ...string) (*Process, error) {
	words := append(prefix, w.Binary, "run", w.Dir, "--data", w.Data)
	p := &Process{cmd: exec.Command(words[0], words[1:]...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), environ...)
	p.cmd.Stderr = &p.err
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is read from ProcessState
		close(p.done)
	}()
	return p, nil
}

// Kill ends the process, and those it started, as by kill -9, and tells whether it was still running.
func (p *Process) Kill() (killed bool) {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
	<-p.done
	return p.Killed()
}

// Interrupt asks the process to end, and waits until it has.
func (p *Process) Interrupt() error {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
	code, err := p.Code()
	if err == nil && code != 0 {
		err = fmt.Errorf("interrupted, the run ends with %d:\n%s", code, p.Said())
	}
	return err
}

// Killed tells whether the process, which has ended, was killed.
func (p *Process) Killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Ended waits up to d for the process to end.
func (p *Process) Ended(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Said returns what the process has written to standard error.
func (p *Process) Said() string { return p.err.String() }

// Says waits up to d until the process has written text to standard error.
func (p *Process) Says(text string, d time.Duration) bool {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(p.Said(), text) {
			return true
		}
	}
	return false
}

// Code waits for the end and returns the exit code, -1 for one that was killed.
// The error says that the process is stuck; it has been killed then, by a signal that
// makes it say where it stands.
func (p *Process) Code() (int, error) {
	if !p.Ended(patience) {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		p.Ended(5 * time.Second)
		p.Kill()
		return 0, fmt.Errorf("the run does not end; it says:\n%s", p.Said())
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// Finish runs the binary undisturbed to its end.
func (w *Work) Finish() (said string, err error) {
	p, err := w.Start(nil)
	if err != nil {
		return "", err
	}
	code, err := p.Code()
	if err == nil && code != 0 {
		err = errors.New("the run fails:\n" + p.Said())
	}
	return p.Said(), err
}

// Apply asks the running binary to take the configuration as it is now; false
// when it does not answer, because it has ended or was killed meanwhile.
func (w *Work) Apply() (said string, applied bool) {
	out, err := exec.Command(w.Binary, "apply", w.Dir, "--data", w.Data).CombinedOutput()
	return string(out), err == nil
}
