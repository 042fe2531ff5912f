package forget_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/conformance/forget"
)

// mount mounts an empty disk for the length of a test.
func mount(t *testing.T) *forget.Mounted {
	t.Helper()
	m, err := forget.Mount(forget.NewDisk(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestWhatSurvives does what a line says, cuts the power, and looks.
//
//	write FILE TEXT   sync NAME   rename FROM TO   remove NAME   mkdir NAME   truncate FILE TEXT (to its length)
func TestWhatSurvives(t *testing.T) {
	for _, c := range []struct{ name, do, left string }{
		{"nothing synced", "write a one", ""},
		{"data without a name", "write a one; sync a", ""},
		{"a name without data", "write a one; sync .", "a="},
		{"data and name", "write a one; sync a; sync .", "a=one"},
		{"an append", "write a one; sync a; sync .; write a onetwo", "a=one"},
		{"an append that is synced", "write a one; sync a; sync .; write a onetwo; sync a", "a=onetwo"},
		{"a truncation", "write a onetwo; sync a; sync .; truncate a one", "a=onetwo"},
		{"a truncation that is synced", "write a onetwo; sync a; sync .; truncate a one; sync a", "a=one"},
		{"truncated and grown again", "write a onetwo; sync a; sync .; truncate a one; truncate a onetwo; sync a", "a=one\x00\x00\x00"},
		{"a rename", "write a one; sync a; sync .; rename a b", "a=one"},
		{"a rename that is synced", "write a one; sync a; sync .; rename a b; sync .", "b=one"},
		{"a rename over another", "write a one; write b two; sync a; sync b; sync .; rename a b", "a=one b=two"},
		{"a rename over another that is synced", "write a one; write b two; sync a; sync b; sync .; rename a b; sync .", "b=one"},
		{"a rename of what was not synced", "write a one; rename a b; sync .", "b="},
		{"a removal", "write a one; sync a; sync .; remove a", "a=one"},
		{"a removal that is synced", "write a one; sync a; sync .; remove a; sync .", ""},
		{"a folder", "mkdir d; write d/a one; sync d/a; sync d", ""},
		{"a folder that is synced", "mkdir d; sync .; write d/a one; sync d/a; sync d", "d/a=one"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			m := mount(t)
			for _, step := range strings.Split(c.do, "; ") {
				if err := do(m.Dir, strings.Fields(step)); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			if err := m.Cut(0); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(list(t, m.Dir), " "); got != c.left {
				t.Errorf("after %q the disk holds %q, not %q", c.do, got, c.left)
			}
		})
	}
}

func do(dir string, w []string) error {
	name := filepath.Join(dir, w[1])
	switch w[0] {
	case "write":
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(w[2])
		return errors.Join(err, f.Close())
	case "sync":
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	case "rename":
		return os.Rename(name, filepath.Join(dir, w[2]))
	case "remove":
		return os.Remove(name)
	case "mkdir":
		return os.Mkdir(name, 0o755)
	case "truncate":
		return os.Truncate(name, int64(len(w[2])))
	}
	return errors.New("no such step")
}

// list returns the files below dir with their content.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		out = append(out, rel+"="+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLuck sees that seeds differ, repeat, and never touch what was synced.
func TestLuck(t *testing.T) {
	outcomes := map[string]bool{}
	for seed := uint64(1); seed <= 40; seed++ {
		var got [2]string
		for i := range got {
			m := mount(t)
			must(t, do(m.Dir, []string{"write", "safe", strings.Repeat("s", 1000)}), do(m.Dir, []string{"sync", "safe"}), do(m.Dir, []string{"sync", "."}),
				do(m.Dir, []string{"write", "safe", strings.Repeat("s", 3000)}), do(m.Dir, []string{"write", "other", "x"}),
				do(m.Dir, []string{"write", "third", "x"}), m.Cut(seed))
			files := list(t, m.Dir)
			i0 := slices.IndexFunc(files, func(f string) bool { return strings.HasPrefix(f, "safe="+strings.Repeat("s", 1000)) })
			if i0 < 0 {
				t.Fatalf("seed %d: what was synced is gone: %q", seed, files)
			}
			got[i] = strings.Join(files, " ")
		}
		if got[0] != got[1] {
			t.Fatalf("seed %d gives two outcomes", seed)
		}
		outcomes[got[0]] = true
	}
	if len(outcomes) < 8 {
		t.Errorf("40 seeds give %d outcomes", len(outcomes))
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// TestFailedSync is Linux's habit: the data stays readable, a second sync
// says all is well, and the medium does not have it.
func TestFailedSync(t *testing.T) {
	m := mount(t)
	must(t, do(m.Dir, []string{"write", "a", "one"}), do(m.Dir, []string{"sync", "."}))
	m.Disk.FailSync(1)
	if err := do(m.Dir, []string{"sync", "a"}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the sync says %v", err)
	}
	must(t, do(m.Dir, []string{"sync", "a"}))
	if got := list(t, m.Dir); !slices.Equal(got, []string{"a=one"}) {
		t.Errorf("before the cut: %q", got)
	}
	must(t, m.Cut(0))
	if got := list(t, m.Dir); !slices.Equal(got, []string{"a=\x00\x00\x00"}) {
		t.Errorf("after the cut: %q", got)
	}
}

// TestOff sees that nothing changes once the power is off.
func TestOff(t *testing.T) {
	m := mount(t)
	must(t, do(m.Dir, []string{"write", "a", "one"}), do(m.Dir, []string{"sync", "a"}), do(m.Dir, []string{"sync", "."}))
	m.Off()
	if err := do(m.Dir, []string{"write", "a", "two"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write without power says %v", err)
	}
	must(t, m.Cut(0))
	if got := list(t, m.Dir); !slices.Equal(got, []string{"a=one"}) {
		t.Errorf("after the cut: %q", got)
	}
}
