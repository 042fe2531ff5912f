package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// directFS is a file system that takes direct writes as Linux does, and can refuse them.
type directFS struct {
	env.FS
	fail   func(n int) error // of the n-th direct write, from 1
	writes int
	bytes  int
	lying  int // bytes of pieces that begin with a block's header
	wrong  []string
}

type directFile struct {
	env.File
	fs *directFS
}

func (f *directFS) Open(name string, flag env.Flag) (env.File, error) {
	file, err := f.FS.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return directFile{file, f}, nil
}

func (f directFile) WriteDirect(pieces [][]byte, off int64) error {
	f.fs.writes++
	if err := f.fs.fail(f.fs.writes); err != nil {
		return err
	}
	for _, b := range pieces {
		at := int64(address(b))
		if (at|off|int64(len(b)))%env.DirectPage != 0 || len(b) == 0 {
			f.fs.wrong = append(f.fs.wrong, fmt.Sprintf("%d bytes at %d from %#x", len(b), off, at))
		}
		f.fs.bytes += len(b)
		if len(b) >= ownPages && binary.LittleEndian.Uint32(b) == magic {
			f.fs.lying += len(b)
		}
		if _, err := f.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}

// directGroups are groups of many sizes, so that they begin and end anywhere in a page.
func directGroups() (groups []Batch, want [2][]string) {
	for g, n := range []int{1, 900, 3, 1200, 5, 600, 4000, 1, 20_000, 2, 701, 702, 703, 3000, 3000} {
		var b Batch
		for i := range n {
			text := fmt.Sprintf("group %d record %d %s", g, i, strings.Repeat("x", (7*i+g)%400))
			want[i%2] = append(want[i%2], text)
			b.Lines = append(b.Lines, Line{Partition: i % 2, Payload: []byte(text), Pos: uint64(i + 1)})
		}
		b.Source, b.Pos = fmt.Sprint("s", g), uint64(n)
		groups = append(groups, b)
	}
	return groups, want
}

// segments returns the bytes of all segments of a channel.
func segments(t *testing.T, fsys env.FS) (out []byte) {
	t.Helper()
	entries, err := fsys.ReadDir("/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		f, err := fsys.Open("/d/"+e.Name(), env.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

// TestDirect: large groups go around the page cache in whole pages, large blocks from where they lie, and the records
// are the same as without that, whatever the file system says to it.
func TestDirect(t *testing.T) {
	groups, want := directGroups()
	none := func(int) error { return nil }
	unsupported := func(from int) func(int) error {
		return func(n int) error {
			if n >= from {
				return fmt.Errorf("here: %w", errors.ErrUnsupported)
			}
			return nil
		}
	}
	full := func(n int) error {
		if n == 2 || n == 5 || n == 9 {
			return syscall.ENOSPC
		}
		return nil
	}
	tests := []struct {
		name   string
		direct bool
		fail   func(int) error
		writes int // at least; those that failed included
	}{
		{"not asked", false, none, 0},
		{"all", true, none, 8},
		{"never", true, unsupported(1), 1},
		{"in mid-group", true, unsupported(5), 5},
		{"full now and then", true, full, 10},
	}
	for _, test := range tests {
		sim := env.NewSim(1)
		e := sim.Env()
		fsys := &directFS{FS: e.FS, fail: test.fail}
		if test.direct {
			e.FS = fsys
		}
		l, _ := mustOpen(t, e, Options{Partitions: 2})
		for _, b := range groups {
			mustAppend(t, l, b)
			err := l.Appender().Flush()
			for tries := 0; err != nil && tries < 9; tries++ {
				if full := (*ErrFull)(nil); !errors.As(err, &full) {
					t.Fatal(err)
				}
				err = l.Appender().Flush()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		all := len(segments(t, e.FS))
		if fsys.wrong != nil || fsys.writes < test.writes || test.name == "never" && fsys.writes > test.writes || test.name == "all" && (fsys.bytes < all*95/100 || fsys.lying < 1<<20) {
			t.Errorf("%s: %d direct writes of %d bytes in all, %d of them from where blocks lie, of %d; not in whole pages: %v",
				test.name, fsys.writes, fsys.bytes, fsys.lying, all, fsys.wrong)
		}
		l, damage := mustOpen(t, e, Options{})
		for p := range want {
			if got := readAll(t, l, p); !slices.Equal(got, want[p]) || len(*damage) > 0 {
				t.Errorf("%s: partition %d holds %d records, not %d, or others; damage %v", test.name, p, len(got), len(want[p]), *damage)
			}
		}
		l.Close()
	}
}

// TestDirectBehindSmall: a large block is written from where it lies also behind a small one, which is padded to a whole page.
func TestDirectBehindSmall(t *testing.T) {
	e := env.NewSim(1).Env()
	fsys := &directFS{FS: e.FS, fail: func(int) error { return nil }}
	e.FS = fsys
	l, _ := mustOpen(t, e, Options{Partitions: 2})
	groups, _ := directGroups()
	mustAppend(t, l, groups[8]) // the first makes the segment end at a page
	if err := l.Appender().Flush(); err != nil {
		t.Fatal(err)
	}
	fsys.lying, fsys.bytes = 0, 0
	b, large := Batch{Source: "behind", Pos: 2000}, 0
	for i := range 2000 {
		line := Line{Partition: min(i, 1), Payload: []byte(strings.Repeat("y", 100)), Pos: uint64(i + 1)}
		b.Lines, large = append(b.Lines, line), large+min(i, 1)*len(line.Payload)
	}
	mustAppend(t, l, b)
	if err := l.Appender().Flush(); err != nil {
		t.Fatal(err)
	}
	// Gathered with the small one before it, all would be one piece.
	if fsys.lying < large || fsys.bytes-fsys.lying < env.DirectPage || fsys.wrong != nil {
		t.Errorf("%d bytes were written from where blocks lie, of %d in all; not in whole pages: %v", fsys.lying, fsys.bytes, fsys.wrong)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDirectFails: a direct write that the disk refuses ends the log, as any other.
func TestDirectFails(t *testing.T) {
	e := env.NewSim(1).Env()
	e.FS = &directFS{FS: e.FS, fail: func(n int) error {
		if n == 2 {
			return syscall.EIO
		}
		return nil
	}}
	l, _ := mustOpen(t, e, Options{Partitions: 1})
	large := Batch{Lines: []Line{{Payload: make([]byte, 3*leastDirect)}}}
	mustAppend(t, l, large)
	mustFlush(t, l)
	var told error
	large.Done = func(err error) { told = err }
	mustAppend(t, l, large)
	if err := l.Appender().Flush(); !errors.Is(err, syscall.EIO) || !errors.Is(told, syscall.EIO) {
		t.Fatalf("the group was told %v, the flusher %v", told, err)
	}
	if err := l.Appender().Append(large); !errors.Is(err, syscall.EIO) {
		t.Errorf("the next append got %v", err)
	}
	l.Close()
	l, _ = mustOpen(t, e, Options{})
	if _, end := l.Bounds(0); end != 1 {
		t.Errorf("%d records are there after it, not 1", end)
	}
	l.Close()
}
