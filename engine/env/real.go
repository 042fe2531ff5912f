package env

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Environment variables by which tests of the real binary steer Point.
const (
	// KillAtVar holds "point:n": the process kills itself, as by kill -9, when
	// it comes to that point for the n-th time.
	KillAtVar = "TIDEMILL_KILL_AT"
	// PointsFileVar names a file to which each point's name is appended, on a
	// line of its own, when the process first comes to it.
	PointsFileVar = "TIDEMILL_POINTS_FILE"
)

// Real returns this machine. It panics when KillAtVar is set to something that
// makes no sense, so that a misspelt test cannot pass.
func Real() *Env {
	point, err := realPoint(os.Getenv(KillAtVar), os.Getenv(PointsFileVar), killSelf)
	if err != nil {
		panic(err)
	}
	return &Env{Clock: realClock{}, FS: realFS{}, OnDisk: true, Var: os.LookupEnv, Point: point, Procs: runtime.GOMAXPROCS(0)}
}

func killSelf() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(fmt.Sprintf("BUG: the process cannot kill itself: %v", err))
	}
	select {} // the signal may take a moment; nothing more may happen here
}

// points is what Point of the real world remembers while tests watch it.
type points struct {
	mu     sync.Mutex
	killAt string
	left   int // hits of killAt before kill is called
	kill   func()
	list   string          // file to write names to, or ""
	seen   map[string]bool // names written
}

// realPoint returns a function that costs nothing when neither variable is set.
func realPoint(killAt, list string, kill func()) (func(string), error) {
	if killAt == "" && list == "" {
		return func(string) {}, nil
	}
	p := &points{kill: kill, list: list, seen: map[string]bool{}}
	if killAt != "" {
		at := strings.LastIndexByte(killAt, ':')
		n, err := strconv.Atoi(killAt[at+1:])
		if at <= 0 || err != nil || n < 1 {
			return nil, fmt.Errorf("%s is %q; it takes a point and a count from 1, such as journal.before-sync:3", KillAtVar, killAt)
		}
		p.killAt, p.left = killAt[:at], n
	}
	return p.hit, nil
}

func (p *points) hit(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list != "" && !p.seen[name] {
		p.seen[name] = true
		if err := appendLine(p.list, name); err != nil {
			panic(fmt.Sprintf("%s: %v", PointsFileVar, err))
		}
	}
	if name != p.killAt {
		return
	}
	if p.left--; p.left == 0 {
		p.kill()
	}
}

func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) After(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

type realFS struct{}

func (realFS) Open(name string, flag Flag) (File, error) {
	how := os.O_RDONLY
	switch flag {
	case ReadWrite:
		how = os.O_RDWR
	case Create:
		how = os.O_RDWR | os.O_CREATE
	}
	f, err := os.OpenFile(name, how, 0o644)
	if err != nil {
		return nil, err
	}
	return realFile{f}, nil
}

func (realFS) Rename(from, to string) error {
	err := os.Rename(from, to)
	var link *os.LinkError
	if errors.As(err, &link) {
		return &fs.PathError{Op: "rename", Path: from, Err: link.Err}
	}
	return err
}

func (realFS) Remove(name string) error { return os.Remove(name) }

func (r realFS) MkdirAll(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	name = filepath.Clean(name)
	parent := filepath.Dir(name)
	if parent != name {
		if err := r.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Stat(name); err != nil {
		return err
	} else if !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: name, Err: errors.New("there is a file of that name")}
	}
	return r.SyncDir(parent)
}

func (realFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (realFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type realFile struct{ *os.File }

func (f realFile) Sync() error {
	if err := datasync(f.File); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
