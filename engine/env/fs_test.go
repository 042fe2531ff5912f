package env

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"testing"
)

// The same suite holds both file systems to the contract of FS and File.
func TestConformance(t *testing.T) {
	worlds := []struct {
		name string
		make func(t *testing.T) (*Env, string)
	}{
		{"real", func(t *testing.T) (*Env, string) { return Real(), t.TempDir() }},
		{"sim", func(t *testing.T) (*Env, string) {
			e := NewSim(1).Env()
			return e, "/tmp/x"
		}},
	}
	for _, world := range worlds {
		t.Run(world.name, func(t *testing.T) {
			for _, test := range conformance {
				t.Run(test.name, func(t *testing.T) {
					e, dir := world.make(t)
					dir = path.Join(dir, "a", "b")
					if err := e.FS.MkdirAll(dir); err != nil {
						t.Fatal(err)
					}
					test.run(t, e.FS, dir)
				})
			}
		})
	}
}

var conformance = []struct {
	name string
	run  func(t *testing.T, f FS, dir string)
}{
	{"missing", func(t *testing.T, f FS, dir string) {
		_, open := f.Open(dir+"/none", ReadOnly)
		_, write := f.Open(dir+"/none", ReadWrite)
		_, deep := f.Open(dir+"/none/none", Create)
		_, list := f.ReadDir(dir + "/none")
		for i, err := range []error{open, write, deep, list, f.Remove(dir + "/none"), f.Rename(dir+"/none", dir+"/x"), f.SyncDir(dir + "/none")} {
			var at *fs.PathError
			if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &at) {
				t.Errorf("case %d: %#v", i, err)
			}
		}
	}},
	{"whole files", func(t *testing.T, f FS, dir string) {
		name := dir + "/whole"
		if _, err := ReadWhole(f, name, AnySize); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of a file that is not there: %v", err)
		}
		for _, content := range []string{"twelve bytes", "", "other"} {
			if err := WriteWhole(f, name, []byte(content)); err != nil {
				t.Fatal(err)
			}
			if got, err := ReadWhole(f, name, int64(len(content))); err != nil || string(got) != content {
				t.Errorf("%q in place of %q: %v", got, content, err)
			}
		}
		if got, err := ReadWhole(f, name, 4); got != nil || err == nil || err.Error() != "it has 5 bytes; at most 4 are read" {
			t.Errorf("of a file that is too long: %q, %v", got, err)
		}
		if got, err := ReadWhole(shrinking{f}, name, AnySize); got != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("of a file that became shorter: %q, %v", got, err)
		}
	}},
	{"write and read", func(t *testing.T, f FS, dir string) {
		file := open(t, f, dir+"/x", Create)
		write(t, file, "hello", 0)
		write(t, file, "world", 7)
		read(t, file, 0, 12, "hello\x00\x00world", nil)
		read(t, file, 7, 9, "world", io.EOF)
		read(t, file, 12, 1, "", io.EOF)
		read(t, file, 99, 1, "", io.EOF)
		again := open(t, f, dir+"/x", Create)
		read(t, again, 0, 5, "hello", nil)
		if err := errors.Join(file.Sync(), file.Close(), again.Close()); err != nil {
			t.Error(err)
		}
		if err := file.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("closing twice: %v", err)
		}
		if _, err := file.WriteAt([]byte("x"), 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("writing to a closed file: %v", err)
		}
	}},
	{"read only", func(t *testing.T, f FS, dir string) {
		open(t, f, dir+"/x", Create).Close()
		file := open(t, f, dir+"/x", ReadOnly)
		if _, err := file.WriteAt([]byte("x"), 0); err == nil {
			t.Error("wrote to a file that is open for reading")
		}
		if err := file.Truncate(4); err == nil {
			t.Error("truncated a file that is open for reading")
		}
	}},
	{"truncate", func(t *testing.T, f FS, dir string) {
		file := open(t, f, dir+"/x", Create)
		write(t, file, "hello", 0)
		for _, size := range []int64{2, 4} {
			if err := file.Truncate(size); err != nil {
				t.Fatal(err)
			}
			if info, err := file.Stat(); err != nil || info.Size() != size || info.Name() != "x" {
				t.Errorf("%v %v", info, err)
			}
		}
		read(t, file, 0, 9, "he\x00\x00", io.EOF)
	}},
	{"rename", func(t *testing.T, f FS, dir string) {
		file := open(t, f, dir+"/from", Create)
		write(t, file, "new", 0)
		write(t, open(t, f, dir+"/to", Create), "old one", 0)
		if err := f.Rename(dir+"/from", dir+"/to"); err != nil {
			t.Fatal(err)
		}
		read(t, open(t, f, dir+"/to", ReadOnly), 0, 9, "new", io.EOF)
		if _, err := f.Open(dir+"/from", ReadOnly); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		write(t, file, "NEW", 0)
		read(t, open(t, f, dir+"/to", ReadOnly), 0, 3, "NEW", nil)
	}},
	{"remove while open", func(t *testing.T, f FS, dir string) {
		file := open(t, f, dir+"/x", Create)
		write(t, file, "hello", 0)
		if err := f.Remove(dir + "/x"); err != nil {
			t.Fatal(err)
		}
		read(t, file, 0, 5, "hello", nil)
		list(t, f, dir)
	}},
	{"folders", func(t *testing.T, f FS, dir string) {
		open(t, f, dir+"/c", Create).Close()
		open(t, f, dir+"/a", Create).Close()
		if err := errors.Join(f.MkdirAll(dir+"/b/deep"), f.MkdirAll(dir+"/b"), f.SyncDir(dir)); err != nil {
			t.Fatal(err)
		}
		list(t, f, dir, "a", "b/", "c")
		if err := f.Remove(dir + "/b"); err == nil {
			t.Error("removed a folder that is not empty")
		}
		if err := errors.Join(f.Remove(dir+"/b/deep"), f.Remove(dir+"/b")); err != nil {
			t.Error(err)
		}
		list(t, f, dir, "a", "c")
		if err := f.MkdirAll(dir + "/a/b"); err == nil {
			t.Error("made a folder in a file")
		}
	}},
}

func open(t *testing.T, f FS, name string, flag Flag) File {
	t.Helper()
	file, err := f.Open(name, flag)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func write(t *testing.T, file File, text string, at int64) {
	t.Helper()
	if n, err := file.WriteAt([]byte(text), at); err != nil || n != len(text) {
		t.Fatal(n, err)
	}
}

func read(t *testing.T, file File, at int64, n int, want string, wantErr error) {
	t.Helper()
	b := make([]byte, n)
	got, err := file.ReadAt(b, at)
	if !bytes.Equal(b[:got], []byte(want)) || err != wantErr {
		t.Errorf("read %q %v, not %q %v", b[:got], err, want, wantErr)
	}
}

func list(t *testing.T, f FS, dir string, want ...string) {
	t.Helper()
	entries, err := f.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("%v %v, not %q", entries, err, want)
	}
	for i, entry := range entries {
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		if name != want[i] {
			t.Errorf("entry %d is %s, not %s", i, name, want[i])
		}
	}
}

// shrinking is a file system whose files become shorter between the question how long they are and the reading.
type shrinking struct{ FS }

func (s shrinking) Open(name string, flag Flag) (File, error) {
	f, err := s.FS.Open(name, flag)
	return shrunk{f}, err
}

type shrunk struct{ File }

func (s shrunk) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.File.ReadAt(p[:len(p)-1], off)
	if err == nil {
		err = io.EOF
	}
	return n, err
}
