package mqtt

import (
	"errors"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// What a process reads that another left in the page cache when it was killed, or had met an error, survives a power cut: clients are answered by it. That is the data of
// a log, and the name of a snapshot, whose logs are removed.
func TestLogSettled(t *testing.T) {
	told := openNotebook(t, env.NewSim(1))
	after := told.tell()
	told.log.close()
	log := told.log.name(1, "log")
	content := contents(t, told.env, log)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	leave := map[string]func(e *env.Env){
		"the data of a log": func(e *env.Env) {
			put(t, e, log, nil)
			f, err := e.FS.Open(log, env.ReadWrite)
			must(err)
			_, err = f.WriteAt(content, 0)
			must(err)
		},
		"what a sync has given up": func(e *env.Env) {
			put(t, e, log, nil)
			f, err := e.FS.Open(log, env.ReadWrite)
			must(err)
			_, err = f.WriteAt(content, 0)
			must(err)
			if err := f.Sync(); !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
		},
		"the name of a snapshot": func(e *env.Env) {
			put(t, e, log, content)
			must(env.WriteWhole(e.FS, "/d/snapshot.tmp", content))
			must(e.FS.Rename("/d/snapshot.tmp", told.log.name(1, "snap")))
		},
	}
	for what, left := range leave {
		for seed := range uint64(20) {
			disk := env.NewSim(seed)
			must(disk.Env().FS.MkdirAll("/d"))
			disk.Fail(env.Fault{Op: env.OpSync, Name: log, After: 1, Err: syscall.EIO}) // put's goes well
			left(disk.Env())
			disk.Heal()
			disk.Kill()
			for _, when := range []string{"before", "after"} {
				if n := openNotebook(t, disk); n.said.text() != after[len(after)-1] {
					t.Errorf("%s, seed %d: %s the power cut it says %s", what, seed, when, n.said.text())
				}
				disk.Crash(seed)
			}
		}
	}
}

// The logs that a snapshot overrules are not removed before its name is durable.
func TestSnapshotFirst(t *testing.T) {
	told := openNotebook(t, env.NewSim(1))
	after := told.tell()
	told.log.close()
	content := contents(t, told.env, told.log.name(1, "log"))
	for seed := range uint64(20) {
		disk := env.NewSim(seed)
		fsys := disk.Env().FS
		if err := fsys.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		put(t, disk.Env(), told.log.name(1, "log"), content)
		err := env.WriteWhole(fsys, "/d/snapshot.tmp", content)
		if err == nil {
			err = fsys.Rename("/d/snapshot.tmp", told.log.name(1, "snap"))
		}
		if err != nil {
			t.Fatal(err)
		}
		disk.Kill()
		disk.Fail(env.Fault{Op: env.OpOpen, Name: told.log.name(2, "log"), Err: syscall.EIO})
		if _, err := openLog(disk.Env(), "/d", newSaved(), nil, nil, nil); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		disk.Crash(seed)
		if n := openNotebook(t, disk); n.said.text() != after[len(after)-1] {
			t.Errorf("seed %d: it says %s", seed, n.said.text())
		}
	}
}
