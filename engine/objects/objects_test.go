package objects

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestLocal holds folders, real and simulated, to the promise of a Store.
// conformance/sinks does the same with a real S3 server.
func TestLocal(t *testing.T) {
	for name, e := range map[string]*env.Env{"real": env.Real(), "simulated": env.NewSim(1).Env()} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(e, Config{Place: t.TempDir() + "/lake"})
			if err != nil {
				t.Fatal(err)
			}
			promise(t, s)
		})
	}
}

// promise is what every Store keeps.
func promise(t *testing.T, s Store) {
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Get(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there gives %v", err)
	}
	if list, err := s.List(ctx, ""); err != nil || len(list) != 0 {
		t.Errorf("an empty store lists %v, %v", list, err)
	}
	v1, err := s.Put(ctx, "a/b", []byte("one"), Absent())
	must(err)
	if _, err := s.Put(ctx, "a/b", []byte("two"), Absent()); !errors.Is(err, ErrChanged) {
		t.Errorf("putting over what is there: %v", err)
	}
	v2, err := s.Put(ctx, "a/b", []byte("two"), Unchanged(v1))
	must(err)
	if _, err := s.Put(ctx, "a/b", []byte("three"), Unchanged(v1)); !errors.Is(err, ErrChanged) {
		t.Errorf("putting over another version: %v", err)
	}
	if _, err := s.Put(ctx, "a/none", []byte("x"), Unchanged(v1)); !errors.Is(err, ErrChanged) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("putting over what is gone: %v", err)
	}
	data, v, err := s.Get(ctx, "a/b")
	if err != nil || string(data) != "two" || v != v2 {
		t.Errorf("got %q, version %q of %q, %v", data, v, v2, err)
	}
	_, err = s.Put(ctx, "a/c=%2F/d", []byte("x"), Condition{})
	must(err)
	must(s.Clean(ctx))
	list, err := s.List(ctx, "a")
	if err != nil || len(list) != 2 || list[0] != (Object{"a/b", 3}) || list[1] != (Object{"a/c=%2F/d", 1}) {
		t.Errorf("lists %v, %v", list, err)
	}
	must(s.Delete(ctx, "a/c=%2F/d"))
	must(s.Delete(ctx, "a/c=%2F/d"))
	if list, err = s.List(ctx, ""); err != nil || len(list) != 1 {
		t.Errorf("lists %v, %v", list, err)
	}
}

// TestClean: what was left of a put that failed is not listed, and goes.
func TestClean(t *testing.T) {
	e := env.NewSim(1).Env()
	s, err := Open(e, Config{Place: "/lake"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.(*local)
	if err := e.FS.MkdirAll("/lake/a"); err != nil {
		t.Fatal(err)
	}
	if err := l.write("/lake/a/b"+unfinished, []byte("half")); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(context.Background(), ""); err != nil || len(list) != 0 {
		t.Errorf("lists %v, %v", list, err)
	}
	if err := s.Clean(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.FS.Open("/lake/a/b"+unfinished, env.ReadOnly); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left is still there: %v", err)
	}
}

// TestPlaces: what is a place in S3, and what is not.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{Place: "some/folder"}, ""},
		{Config{Place: "s3://bucket"}, ""},
		{Config{Place: "s3://bucket/a/b/"}, ""},
		{Config{Place: "s3://bucket", Endpoint: "http://127.0.0.1:9000"}, ""},
		{Config{Place: "s3://"}, "not the name of a bucket"},
		{Config{Place: "s3://My_Bucket/x"}, "not the name of a bucket"},
		{Config{Place: "s3://bucket", Endpoint: "127.0.0.1:9000"}, "endpoint is a URL"},
		{Config{Place: "s3://bucket", Endpoint: "http://h/path"}, "endpoint is a URL"},
		{Config{Place: "s3://bucket", Endpoint: "http://user:secret@h"}, "endpoint is a URL"},
	} {
		if got := c.c.Check(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "secret") {
			t.Errorf("%+v: %q, want %q", c.c, got, c.want)
		}
	}
}

// TestChangedIsDurable: what a put finds in its place survives a power cut, though the put that it is of has failed behind its rename.
func TestChangedIsDurable(t *testing.T) {
	for seed := range uint64(20) {
		machine := env.NewSim(seed)
		s, err := Open(machine.Env(), Config{Place: "/o"})
		if err != nil {
			t.Fatal(err)
		}
		machine.Fail(env.Fault{Op: env.OpSyncDir, Err: syscall.EIO})
		if _, err := s.Put(t.Context(), "f/x", []byte("x"), Absent()); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), "f/x", []byte("x"), Absent()); !errors.Is(err, ErrChanged) {
			t.Fatal(err)
		}
		machine.Crash(seed)
		if _, _, err := s.Get(t.Context(), "f/x"); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
