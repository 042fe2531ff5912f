package query

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endless takes no memory.
const endless = "SELECT sum(a.range + b.range + c.range) FROM range(100000) a, range(100000) b, range(100000) c"

// TestMemory: what DuckDB does not count is limited too, by the process.
func TestMemory(t *testing.T) {
	t.Parallel()
	const most = 64<<20 + 1<<30
	for _, text := range []string{
		"SELECT len(range(4000000000))",
		"SELECT length(repeat('x', 4000000000))",
		"SELECT list(h ORDER BY h) FROM (SELECT hash(range) AS h FROM range(40000000))",
	} {
		r := tidemill(t, "", "query", lakeDir, "--memory", "64MiB", "--timeout", "60s", text)
		if r.code != 1 || !strings.Contains(r.err, "memory") || r.peak > most {
			t.Errorf("%s: exit %d, %d MB\n%s%s", text, r.code, r.peak/1e6, r.out, r.err)
		}
	}
	// A large answer does not have to fit: it is spilled.
	r := tidemill(t, "", "query", lakeDir, "--memory", "64MiB", "--format", "csv", "SELECT a.device, b.device, a.ts FROM readings a, range(10) r, (FROM readings LIMIT 2) b")
	if n := strings.Count(r.out, "\n"); r.code != 0 || n != records*20+1 || r.peak > most {
		t.Errorf("exit %d, %d lines, %d MB\n%s", r.code, n, r.peak/1e6, r.err)
	}
}

// TestTime: an endless statement ends, also one that writes no row.
func TestTime(t *testing.T) {
	t.Parallel()
	for _, text := range []string{endless, "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"} {
		r := tidemill(t, "", "query", lakeDir, "--timeout", "300ms", text)
		if r.code != 1 || !strings.Contains(r.err, "ended after 300ms") {
			t.Errorf("%s: exit %d\n%s%s", text, r.code, r.out, r.err)
		}
	}
}

// TestInterrupt: an interrupt ends the statement; and when the command is killed, so is what it started.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		cmd := exec.Command(binary, "query", lakeDir, endless)
		var said bytes.Buffer
		cmd.Stderr = &said
		scratch := t.TempDir()
		cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		must(t, cmd.Start())
		var worker int
		until(t, "the worker", func() bool {
			worker = childOf(cmd.Process.Pid)
			return worker != 0
		})
		time.Sleep(100 * time.Millisecond) // mostly it is in DuckDB by then; before, it must end as well
		must(t, cmd.Process.Signal(signal))
		_ = cmd.Wait()
		if signal != syscall.SIGKILL && !strings.Contains(said.String(), "interrupted") {
			t.Errorf("%s: %s", signal, said.String())
		}
		until(t, "the end of the worker", func() bool { return !running(worker) })
		if left, _ := os.ReadDir(scratch); len(left) > 0 {
			t.Errorf("%s: %s was left", signal, left[0].Name())
		}
	}
}

// TestAskedByNobody: a worker whose parent is gone before it has said what it wants leaves nothing behind either.
func TestAskedByNobody(t *testing.T) {
	t.Parallel()
	scratch := filepath.Join(t.TempDir(), "scratch")
	must(t, os.Mkdir(scratch, 0o700))
	cmd := exec.Command(binary, "query-worker")
	cmd.Env = []string{"TIDEMILL_QUERY_SCRATCH=" + scratch}
	if err := cmd.Run(); err == nil { // its standard input ends at once
		t.Error("it has answered nothing, and says that all is well")
	}
	if _, err := os.Stat(scratch); !os.IsNotExist(err) {
		t.Error("its folder is left", err)
	}
}

// TestReaderGone: who takes a few rows of many is told that the others were not taken, and nothing of memory.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(binary, "query", lakeDir, "--format", "csv", "SELECT * FROM range(100_000_000)")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 100))
	must(t, err)
	must(t, out.Close())
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "broken pipe") || strings.Contains(said.String(), "memory") {
		t.Errorf("%v: %s", err, said.String())
	}
}

// childOf is the worker that a process has started; 0 if it has none. Other children come and go: the Go runtime's own
// try at what the system can do is one.
func childOf(pid int) int {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, name := range tasks {
		data, _ := os.ReadFile(name)
		for _, child := range strings.Fields(string(data)) {
			if line, _ := os.ReadFile("/proc/" + child + "/cmdline"); strings.Contains(string(line), "query-worker") {
				id, _ := strconv.Atoi(child)
				return id
			}
		}
	}
	return 0
}

// running tells whether a process is there and not merely waited for.
func running(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(data), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}
