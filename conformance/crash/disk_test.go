package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
)

// smallDisk mounts a disk of so many bytes and returns where.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tidemill-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("a small disk cannot be mounted, which takes root (in a container, --cap-add SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDisk lets a disk fill up in mid-run and be cleared again: the run
// waits, says so, and goes on within five seconds, with nothing lost.
func TestFullDisk(t *testing.T) {
	base, want := work(t, 100_000)
	for _, c := range []struct {
		name string
		move func(t *testing.T, w *rig.Work, disk string)
		size string
		left int64 // bytes of the disk that a run finds
		says string
	}{
		{"the journal's", func(_ *testing.T, w *rig.Work, disk string) { w.Data = filepath.Join(disk, "data") }, "64m", 6 << 20, "until there is room"},
		{"the results'", func(_ *testing.T, w *rig.Work, disk string) { w.Out = filepath.Join(disk, "out") }, "64m", 300 << 10, "no space left on device"},
		{"the checkpoints'", func(t *testing.T, w *rig.Work, disk string) {
			must(t, os.Mkdir(w.Data, 0o755))
			must(t, os.Symlink(disk, filepath.Join(w.Data, "checkpoints")))
		}, "16m", 0, "the checkpoint could not be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			disk := smallDisk(t, c.size)
			w := *base
			w.Dir = t.TempDir()
			w.Data, w.Out = filepath.Join(w.Dir, "data"), filepath.Join(w.Dir, "out")
			must(t, w.Reset())
			c.move(t, &w, disk)
			must(t, w.Change(false)) // the results may have moved
			ballast := filepath.Join(disk, "ballast")
			fill(t, ballast, c.left)
			p, err := w.Start(nil)
			must(t, err)
			defer p.Kill()
			if !p.Says(c.says, 2*time.Minute) {
				t.Fatalf("the run does not say %q:\n%s", c.says, p.Said())
			}
			if p.Ended(5 * time.Second) {
				t.Fatalf("the run ended on a full disk:\n%s", p.Said())
			}
			full := p.Said()
			if n := strings.Count(full, "\n"); n > 20 {
				t.Errorf("the run says %d lines while it waits:\n%s", n, full)
			}
			must(t, os.Remove(ballast))
			began := time.Now()
			code, err := p.Code()
			must(t, err)
			took := time.Since(began)
			if code != 0 || took > 30*time.Second { // five to go on, and what is left to do on a machine that does other things as well
				t.Fatalf("code %d after %s:\n%s", code, took, p.Said())
			}
			if !strings.Contains(p.Said()[len(full):], "again") {
				t.Errorf("the run does not say that it goes on:\n%s", p.Said())
			}
			got, err := w.Result()
			must(t, err)
			must(t, want.Diff(got))
			t.Logf("ended %s after there was room; the run said:\n%s", took.Round(time.Millisecond), p.Said())
		})
	}
}

// fill writes a file that leaves so many bytes of its disk.
func fill(t *testing.T, name string, left int64) {
	t.Helper()
	var fs syscall.Statfs_t
	must(t, syscall.Statfs(filepath.Dir(name), &fs))
	must(t, os.WriteFile(name, make([]byte, int64(fs.Bavail)*fs.Bsize-left), 0o644))
}

// TestSyncFails makes the kernel answer a sync with EIO. Whichever it is, the
// run stops with a message, the next one starts clean, and nothing is lost. (conformance/forget
// does the same and then cuts the power.)
func TestSyncFails(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("this test needs strace: apt-get install strace")
	}
	w, want := work(t, 50_000)
	stopped := 0
	for _, when := range []string{"1", "2", "3", "5", "8", "13", "21"} {
		must(t, w.Reset())
		p, err := w.Start(nil, "strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when="+when)
		must(t, err)
		code, err := p.Code()
		must(t, err)
		said := p.Said()
		if !strings.Contains(said, "input/output error") {
			if code == 0 {
				continue // fewer syncs than that
			}
			t.Errorf("sync %s fails and the run does not say so:\n%s", when, said)
		}
		if code != 0 {
			stopped++
		}
		if strings.Contains(said, "panic") || strings.Contains(said, "goroutine") {
			t.Errorf("sync %s fails, and the message is none for people:\n%s", when, said)
		}
		_, err = w.Finish()
		must(t, err)
		got, err := w.Result()
		must(t, err)
		if err := want.Diff(got); err != nil {
			t.Fatalf("after sync %s failed: %v\nthe run said:\n%s", when, err, said)
		}
	}
	if stopped < 3 {
		t.Errorf("%d runs stopped; a failed sync of the journal has to stop one", stopped)
	}
	t.Logf("%d runs stopped by a failed sync, started again, and lost nothing", stopped)
}
