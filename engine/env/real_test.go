package env

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func errEOF() error { return io.EOF }

// TestMain lets the test start itself as the process that is to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("TIDEMILL_ENV_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	e := Real()
	for range 3 {
		e.Point("one")
		e.Point("two")
	}
	os.Exit(3)
}

func TestKillAtPoint(t *testing.T) {
	tests := []struct {
		at     string
		killed bool
		points string
	}{
		{"", false, "one two"},
		{"two:3", true, "one two"},
		{"two:1", true, "one two"},
		{"one:1", true, "one"},
		{"one:4", false, "one two"},
		{"three:1", false, "one two"},
	}
	for _, test := range tests {
		list := filepath.Join(t.TempDir(), "points")
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "TIDEMILL_ENV_TEST_CHILD=1", KillAtVar+"="+test.at, PointsFileVar+"="+list)
		err := child.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		status := exit.Sys().(syscall.WaitStatus)
		if killed := status.Signaled() && status.Signal() == syscall.SIGKILL; killed != test.killed || !killed && status.ExitStatus() != 3 {
			t.Errorf("%q: %v", test.at, err)
		}
		points, err := os.ReadFile(list)
		if got := strings.Join(strings.Fields(string(points)), " "); err != nil || got != test.points {
			t.Errorf("%q: points %s %v", test.at, got, err)
		}
	}
}

func TestKillAtNonsense(t *testing.T) {
	for _, at := range []string{"x", "x:", ":1", "x:0", "x:y"} {
		if _, err := realPoint(at, "", nil); err == nil || !strings.Contains(err.Error(), "journal.before-sync:3") {
			t.Errorf("%q: %v", at, err)
		}
	}
}

func TestPointCostsNothing(t *testing.T) {
	point, err := realPoint("", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { point("x") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRealClock(t *testing.T) {
	e := Real()
	fired := make(chan bool)
	e.Clock.After(time.Millisecond, func() { close(fired) })
	stop := e.Clock.After(time.Hour, func() { t.Error("fired after all") })
	stop()
	<-fired
	if d := time.Since(e.Clock.Now()); d > time.Minute || d < -time.Minute {
		t.Errorf("the clock is %v off", d)
	}
}
