package sim

import (
	"math/rand/v2"
	"syscall"

	"github.com/tidemill/tidemill/engine/env"
)

// soon makes every sixth seed's machine fall twice, one behind the other: a process dies in an operation that makes something durable, or the disk
// fails its journal several times, and of the next process the power is cut before it has come far. What the second one reads the first one may not
// have made durable, and only the cut tells whether it was built upon. It takes chances of its own, so that those of seeds of before stay as they were; it comes to none
// of those that were kept before it.
type soon struct {
	rng     *rand.Rand // nil: it does not come
	left    int
	falling bool // it is on
}

func newSoon(seed uint64, calm bool) soon {
	rng := rand.New(rand.NewPCG(seed, 59))
	if calm || seed%2 > 0 || rng.IntN(3) > 0 {
		return soon{}
	}
	return soon{rng: rng, left: 3}
}

// fall has two lives between two others.
func (w *world) fall(budget *int) {
	s := &w.soon
	if s.rng == nil || s.left == 0 || s.rng.IntN(2) > 0 {
		return
	}
	s.left--
	before := w.rng
	w.rng, s.falling = s.rng, true
	defer func() { w.rng, s.falling = before, false }()

	var f env.Fault
	switch s.rng.IntN(3) {
	case 0:
		f = env.Fault{Op: env.OpSync, Name: dataDir + "/journal", After: s.rng.IntN(1 << s.rng.IntN(6)), Err: syscall.EIO, Times: 1 + s.rng.IntN(4)}
	case 1:
		f = s.death("")
	default:
		f = s.death(checkpoints)
	}
	w.one(f, budget)
	w.machine.Kill()
	if s.rng.IntN(2) == 0 {
		f = s.death(checkpoints)
	} else {
		f = env.Fault{After: s.rng.IntN(1 << (3 + s.rng.IntN(8))), Crash: true}
	}
	w.one(f, budget)
	w.machine.Crash(s.rng.Uint64())
	w.did.falls++
}

const checkpoints = dataDir + "/checkpoints"

// death is one while something is made durable: anywhere, or of a checkpoint, of which there are few and on which most is built.
func (s *soon) death(where string) env.Fault {
	ops := []env.Op{env.OpSync, env.OpSyncDir, env.OpRename}
	f := env.Fault{Op: ops[s.rng.IntN(len(ops))], Name: where, After: s.rng.IntN(80), Crash: true}
	if where != "" {
		f.After = s.rng.IntN(1 << s.rng.IntN(4))
	}
	return f
}

// one is a life with a fault.
func (w *world) one(f env.Fault, budget *int) {
	w.machine.OnPoint(nil)
	w.machine.Fail(f)
	done, err := w.process(budget)
	w.machine.Heal()
	w.note("a life of two with a fault of %s %d ended: done %v, %v", f.Op, f.After, done, err)
}
