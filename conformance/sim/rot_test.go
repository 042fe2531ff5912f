package sim

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
)

// rot damages checkpoints of every second seed between two lives: a bit of the newest turns, where it is a delta to one before it, from
// which the next life has to go on. It takes chances of its own, so that those of seeds of before stay as they were.
type rot struct {
	rng  *rand.Rand // nil: nothing is damaged
	upTo uint64     // epoch of the latest that was: a life that has gone back cannot do so once more
}

func newRot(seed uint64, calm bool) rot {
	rng := rand.New(rand.NewPCG(seed, 41))
	if calm || rng.IntN(2) > 0 {
		return rot{}
	}
	return rot{rng: rng}
}

func (w *world) rotten() {
	r := &w.rot
	if r.rng == nil {
		return
	}
	fsys := w.machine.Env().FS
	const dir = dataDir + "/checkpoints/"
	entries, err := fsys.ReadDir(dir)
	newest := ""
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".checkpoint") {
			newest = max(newest, e.Name())
		}
	}
	epoch, _ := strconv.ParseUint(strings.TrimSuffix(newest, ".checkpoint"), 16, 64)
	if err != nil || epoch <= r.upTo { // there is none, or it is damaged already
		return
	}
	content, err := env.ReadWhole(fsys, dir+newest, env.AnySize)
	must(err)
	const head = 12 // magic and the length of what follows
	var header struct{ Chain []uint64 }
	must(json.Unmarshal(content[head:head+binary.LittleEndian.Uint32(content[head-4:])], &header))
	if len(header.Chain) == 0 {
		return
	}
	at := 8 + r.rng.IntN(len(content)-8) // the magic tells versions apart, which is no damage
	content[at] ^= 1 << r.rng.IntN(8)
	w.write(dir+newest, content)
	r.upTo = epoch
	w.did.rots++
	w.note("byte %d of %s is damaged", at, newest)
}
