package sim

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
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
	if err != nil || newest == "" {
		return
	}
	content, err := env.ReadWhole(fsys, dir+newest, env.AnySize)
	must(err)
	const head = 12 // magic and the length of what follows
	var header struct {
		Epoch uint64
		Chain []uint64
	}
	must(json.Unmarshal(content[head:head+binary.LittleEndian.Uint32(content[head-4:])], &header))
	if len(header.Chain) == 0 || header.Epoch <= r.upTo {
		return
	}
	at := 8 + r.rng.IntN(len(content)-8) // the magic tells versions apart, which is no damage
	content[at] ^= 1 << r.rng.IntN(8)
	w.write(dir+newest, content)
	r.upTo = header.Epoch
	w.did.rots++
	w.note("byte %d of %s is damaged", at, newest)
}
