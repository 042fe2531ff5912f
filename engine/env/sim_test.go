package env

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// crashed writes, crashes by a seed, and returns what is left of the file.
func crashed(t *testing.T, seed uint64, f func(f FS, file File)) (s *Sim, content []byte, exists bool) {
	t.Helper()
	s = NewSim(1)
	e := s.Env()
	if err := e.FS.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	f(e.FS, open(t, e.FS, "/d/x", Create))
	s.Crash(seed)
	file, err := e.FS.Open("/d/x", ReadOnly)
	if err != nil {
		return s, nil, false
	}
	content = make([]byte, 1<<16)
	n, _ := file.ReadAt(content, 0)
	return s, content[:n], true
}

// What was synced always survives; of what was not, everything that a disk
// may do is seen within a few hundred seeds, and nothing else.
func TestCrash(t *testing.T) {
	synced, after := bytes.Repeat([]byte("s"), 700), bytes.Repeat([]byte("u"), 3000)
	seen := map[string]bool{}
	for seed := range uint64(300) {
		_, got, exists := crashed(t, seed, func(f FS, file File) {
			write(t, file, string(synced), 0)
			if err := errors.Join(file.Sync(), f.SyncDir("/d")); err != nil {
				t.Fatal(err)
			}
			write(t, file, string(after), 700)
		})
		if !exists || !bytes.HasPrefix(got, synced) {
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		}
		rest := got[700:]
		if strings.Trim(string(rest), "u\x00") != "" || len(rest) > 3000 {
			t.Fatalf("seed %d: %q", seed, rest)
		}
		kind := "prefix"
		switch {
		case len(rest) == 0:
			kind = "nothing"
		case bytes.Equal(rest, after):
			kind = "everything"
		case bytes.Contains(bytes.TrimRight(rest, "\x00"), []byte{0}):
			kind = "holes"
		case rest[len(rest)-1] == 0:
			kind = "zeros at the end"
		}
		seen[kind] = true
	}
	for _, kind := range []string{"nothing", "everything", "prefix", "holes", "zeros at the end"} {
		if !seen[kind] {
			t.Errorf("never seen: %s", kind)
		}
	}
}

// A name that was not made durable may be gone, although the data was synced;
// a renaming happens whole or not at all.
func TestCrashNames(t *testing.T) {
	kept := 0
	for seed := range uint64(100) {
		s, _, exists := crashed(t, seed, func(f FS, file File) {
			write(t, file, "new", 0)
			if err := file.Sync(); err != nil {
				t.Fatal(err)
			}
		})
		if exists {
			kept++
		}
		f := s.Env().FS
		open(t, f, "/d/old", Create)
		open(t, f, "/d/new", Create)
		if err := errors.Join(f.SyncDir("/d"), f.Rename("/d/new", "/d/old")); err != nil {
			t.Fatal(err)
		}
		s.Crash(seed)
		_, err := f.Open("/d/old", ReadOnly)
		if err != nil {
			t.Fatalf("seed %d: neither the old file nor the new: %v", seed, err)
		}
	}
	if kept == 0 || kept == 100 {
		t.Errorf("the file was there after %d of 100 crashes", kept)
	}
}

func TestKillKeepsPageCache(t *testing.T) {
	s := NewSim(1)
	f := s.Env().FS
	if err := f.MkdirAll("/"); err != nil {
		t.Fatal(err)
	}
	old := open(t, f, "/x", Create)
	write(t, old, "hello", 0)
	fired := false
	s.Env().Clock.After(time.Second, func() { fired = true })
	s.Kill()
	read(t, open(t, f, "/x", ReadOnly), 0, 9, "hello", errEOF())
	if _, err := old.WriteAt([]byte("x"), 0); !errors.Is(err, ErrCrashed) {
		t.Errorf("a file of the dead process: %v", err)
	}
	if s.Advance(time.Minute); fired {
		t.Error("a timer of the dead process fired")
	}
}

// A failed sync forgets what was dirty: later syncs do not write it.
func TestFailedSync(t *testing.T) {
	lost := 0
	for seed := range uint64(40) {
		s := NewSim(seed)
		f := s.Env().FS
		file := open(t, f, "/x", Create)
		want := strings.Repeat("v", 2000)
		write(t, file, want, 0)
		s.Fail(Fault{Op: OpSync, Err: syscall.EIO})
		if err := file.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		read(t, file, 0, 2000, want, nil)
		if err := errors.Join(file.Sync(), f.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		s.Crash(seed)
		b := make([]byte, 2000)
		open(t, f, "/x", ReadOnly).ReadAt(b, 0)
		if string(b) != want {
			lost++
		}
	}
	if lost == 0 {
		t.Error("a failed sync never lost anything")
	}
}

func TestFaults(t *testing.T) {
	s := NewSim(1)
	f := s.Env().FS
	if err := f.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	file := open(t, f, "/d/x", Create)
	s.Fail(Fault{Op: OpWrite, Name: "/d/x", After: 1, Times: 2, Err: syscall.EIO})
	var got []string
	for range 5 {
		_, err := file.WriteAt([]byte("abc"), 0)
		got = append(got, fmt.Sprint(errors.Is(err, syscall.EIO)))
	}
	if want := []string{"false", "true", "true", "false", "false"}; !slices.Equal(got, want) {
		t.Errorf("failed: %v, not %v", got, want)
	}
	if n := s.Heal(); n != 2 {
		t.Errorf("%d faults struck", n)
	}
	s.SetDisk(10)
	if n, err := file.WriteAt(make([]byte, 20), 3); n != 7 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %d %v", n, err)
	}
	if err := file.Truncate(11); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	if err := f.Remove("/d/x"); err != nil || s.Used() != 0 {
		t.Errorf("%d bytes are used when nothing is left: %v", s.Used(), err)
	}
	s.Fail(Fault{Op: OpSync, Crash: true})
	if got := panics(func() { file.Sync() }); got != any(ErrCrashed) {
		t.Errorf("a crash in a sync: %v", got)
	}
	if _, err := f.Open("/d/x", Create); !errors.Is(err, ErrCrashed) {
		t.Errorf("while the machine is down: %v", err)
	}
	s.Crash(1)
	if _, err := f.Open("/d/y", Create); err != nil {
		t.Errorf("after it has come up: %v", err)
	}
}

func panics(f func()) (got any) {
	defer func() { got = recover() }()
	f()
	return nil
}

func TestClock(t *testing.T) {
	s := NewSim(1)
	clock := s.Env().Clock
	start := clock.Now()
	var got []string
	note := func(name string) func() {
		return func() { got = append(got, fmt.Sprintf("%s@%s", name, clock.Now().Sub(start))) }
	}
	clock.After(3*time.Second, note("c"))
	clock.After(time.Second, note("a"))
	clock.After(time.Second, func() {
		note("b")()
		clock.After(time.Second, note("nested"))
	})
	stop := clock.After(2*time.Second, note("stopped"))
	stop()
	if d, ok := s.NextTimer(); !ok || d != time.Second {
		t.Errorf("the next timer is due in %v", d)
	}
	s.Advance(10 * time.Second)
	if want := []string{"a@1s", "b@1s", "nested@2s", "c@3s"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if now := clock.Now().Sub(start); now != 10*time.Second {
		t.Errorf("it is %v", now)
	}
	got = nil
	clock.After(time.Second, note("d"))
	s.Jump(-time.Hour)
	if s.Advance(time.Second); len(got) != 1 {
		t.Errorf("after the clock was set back: %v", got)
	}
}

// The same seed and the same calls give the same disk.
func TestSameSeedSameDisk(t *testing.T) {
	run := func(seed uint64) string {
		s := NewSim(seed)
		f := s.Env().FS
		if err := f.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			file := open(t, f, fmt.Sprint("/d/", i), Create)
			write(t, file, strings.Repeat(fmt.Sprint(i), 3000), 0)
			if i%2 == 0 {
				s.Fail(Fault{Op: OpSync, Err: syscall.EIO})
			}
			_ = file.Sync() // half of them fail, which is what is tested
		}
		s.Crash(seed)
		var out strings.Builder
		entries, err := f.ReadDir("/d")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			b := make([]byte, 3000)
			n, _ := open(t, f, "/d/"+entry.Name(), ReadOnly).ReadAt(b, 0)
			fmt.Fprintf(&out, "%s %q\n", entry.Name(), b[:n])
		}
		return out.String()
	}
	different := map[string]bool{}
	for seed := range uint64(20) {
		one := run(seed)
		if two := run(seed); one != two {
			t.Fatalf("seed %d:\n%s\nand\n%s", seed, one, two)
		}
		different[one] = true
	}
	if len(different) < 10 {
		t.Errorf("20 seeds give only %d disks", len(different))
	}
}

func TestPointsAndVars(t *testing.T) {
	s := NewSim(1)
	e := s.Env()
	s.OnPoint(func(name string) {
		if s.Points()[name] == 2 {
			panic(ErrCrashed)
		}
	})
	e.Point("a")
	e.Point("b")
	if got := panics(func() { e.Point("a") }); got != any(ErrCrashed) {
		t.Errorf("the second time at a: %v", got)
	}
	s.Setenv("X", "1")
	if value, ok := e.Var("X"); value != "1" || !ok {
		t.Error(value, ok)
	}
	if _, ok := e.Var("Y"); ok {
		t.Error("Y is set")
	}
}
