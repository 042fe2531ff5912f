package journal

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// What a sync has given up, and the page cache of the machine still shows, is written again before anybody builds on it: the process that met
// the error could not say any more that it does not count, or an Open met it and another one followed.
func TestGivenUp(t *testing.T) {
	fails := map[string]func(sim *env.Sim){
		"no sync works any more": func(sim *env.Sim) {
			sim.Fail(env.Fault{Op: env.OpSync, Times: -1, Err: syscall.EIO})
		},
		"the process dies behind it": func(sim *env.Sim) {
			sim.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO})
			sim.Fail(env.Fault{Op: env.OpOpen, After: 1, Crash: true})
		},
		"killed, and the next Open meets it": func(sim *env.Sim) {
			sim.Fail(env.Fault{Op: env.OpSync, Crash: true})
			sim.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO})
		},
	}
	for what, fail := range fails {
		for seed := range uint64(20) {
			sim := env.NewSim(seed)
			l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1})
			mustAppend(t, l, Batch{Source: "file", Pos: 1, Records: []Record{{Payload: []byte("good"), Pos: 1}}})
			mustFlush(t, l)
			mustAppend(t, l, Batch{Source: "file", Pos: 2, Records: []Record{{Payload: []byte(strings.Repeat("doubtful", 300)), Pos: 2}}})
			fail(sim)
			func() {
				defer func() {
					if r := recover(); r != nil && r != env.ErrCrashed {
						panic(r)
					}
				}()
				if err := l.Appender().Flush(); !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s: %v", what, err)
				}
			}()
			sim.Kill()
			if l, err := Open(sim.Env(), "/d", Options{}); err == nil {
				l.Close()
			} else if !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			sim.Heal()
			l, _ = mustOpen(t, sim.Env(), Options{})
			shown := readAll(t, l, 0)
			_, end := l.Bounds(0)
			stands := l.Appender().Position("file").Committed
			sim.Crash(seed)
			l, damage := mustOpen(t, sim.Env(), Options{Floor: []uint64{end}})
			if got := readAll(t, l, 0); strings.Join(got, ",") != strings.Join(shown, ",") || len(*damage) > 0 || l.Appender().Position("file").Committed != stands {
				t.Errorf("%s, seed %d: %d records were there, and after a power cut %d: %v, the source stands at %d and not %d", what, seed, len(shown), len(got), *damage, l.Appender().Position("file").Committed, stands)
			}
		}
	}
}
