package query

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything may take before it counts as stuck.
const patience = 2 * time.Minute

// binary is what TestMain has built, with DuckDB; lakeDir a folder of pipelines with a lake.
var binary, lakeDir string

//go:embed lake.hcl
var pipeline string

func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemill-lakesql")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err == nil {
		lakeDir = filepath.Join(dir, "work")
		err = makeLake(lakeDir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir string) error {
	name, err := filepath.Abs("../../bin/tidemill-duckdb")
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-tags", "duckdb", "-ldflags=-s -w", "-o", name, "github.com/tidemill/tidemill/engine/cmd/tidemill")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the binary with DuckDB does not build (it takes a C compiler): %w\n%s", err, out)
	}
	binary = filepath.Join(dir, "bin", "tidemill")
	return errors.Join(os.Mkdir(filepath.Dir(binary), 0o755), os.Symlink(name, binary))
}

// records is how many rows the lake has: 20 devices for 26 hours, a record a minute.
const records = 20 * 26 * 60

func makeLake(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "p.hcl"), []byte(pipeline), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"simulate", "--devices", "20", "--duration", "26h", "--every", "60s", "--seed", "4", "--out", filepath.Join(dir, "input.ndjson")},
		{"run", dir},
	} {
		if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("tidemill %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// result is what a command has done.
type result struct {
	out, err string
	code     int
	peak     int64 // bytes, of the largest process
}

// tidemill runs a command to its end.
func tidemill(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{out.String(), problems.String(), cmd.ProcessState.ExitCode(), 0}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.peak = usage.Maxrss << 10
	}
	return r
}

// sql is the answer to a statement that must be answered, as CSV without its names.
func sql(t *testing.T, text string, args ...string) string {
	t.Helper()
	r := tidemill(t, "", append([]string{"query", lakeDir, "--format", "csv", text}, args...)...)
	if r.code != 0 {
		t.Fatalf("%s\n%s", text, r.err)
	}
	_, rows, _ := strings.Cut(r.out, "\n")
	return strings.TrimSpace(rows)
}

// TestScripts runs testdata/script/*.txtar; $LAKE is a folder of pipelines with a lake.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			e.Setenv("COLUMNS", "80")
			e.Setenv("LAKE", lakeDir)
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			return nil
		},
	})
}

// until waits for something to become true.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if yes() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, patience)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
