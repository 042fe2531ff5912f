package journal

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// world is a machine with a channel, a source that can be asked again, a
// door whose senders remember what was acknowledged, and a reader with
// checkpoints. It goes down at random and must always come back right.
type world struct {
	t    testing.TB
	rng  *rand.Rand
	sim  *env.Sim
	o    Options
	log  Log
	open bool
	// direct is whether the disk takes direct writes, so that groups are padded.
	direct bool

	source  uint64            // last position sent by the source in this life
	sent    map[uint64]string // by position, all records that the source has
	where   map[uint64]int    // partition, by position
	at      Position          // as the journal said when the source started
	doors   int
	acked   map[string]bool     // door records: acknowledged or only sent
	seen    []map[uint64]string // by partition and offset: what the reader saw
	readers []Reader
	floor   []uint64
	lives   int
	tick    int64
}

const worldPartitions = 3

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), sim: env.NewSim(seed),
		sent: map[uint64]string{}, where: map[uint64]int{}, acked: map[string]bool{},
		floor: make([]uint64, worldPartitions),
	}
	for range worldPartitions {
		w.seen = append(w.seen, map[uint64]string{})
	}
	pick := func(list ...int) int { return list[w.rng.IntN(len(list))] }
	w.o = Options{
		Partitions: worldPartitions, BlockBytes: pick(200, 600, 2000), SegmentBytes: int64(pick(2000, 9000, 1<<20)),
		PendingBytes: 50_000, CacheBytes: pick(1, 3000, 1<<20),
	}
	w.direct = seed%4 == 1
	return w
}

// life runs f as one process, which a crash may end.
func (w *world) life(f func()) {
	defer func() {
		if r := recover(); r != nil && r != any(env.ErrCrashed) {
			panic(r)
		}
	}()
	f()
}

func (w *world) start() bool {
	w.o.Floor = append([]uint64(nil), w.floor...)
	e := w.sim.Env()
	if w.direct {
		e.FS = &directFS{FS: e.FS, fail: func(int) error { return nil }}
	}
	log, err := Open(e, "/data/channel", w.o)
	if err != nil {
		if errors.Is(err, syscall.EIO) || errors.Is(err, env.ErrCrashed) || errors.Is(err, syscall.ENOSPC) {
			return false
		}
		w.t.Fatalf("open: %v", err)
	}
	if w.direct { // blocks of a few hundred bytes, and groups of a few of these, are large
		log.(*disk).least, log.(*disk).pool.own = 500, 300
	}
	w.log, w.lives = log, w.lives+1
	w.at = log.Appender().Position("file")
	w.source = w.at.Committed
	w.readers = nil
	for p := range worldPartitions {
		r, err := log.Read(p, w.floor[p])
		if err != nil {
			w.t.Fatalf("read partition %d from %d: %v", p, w.floor[p], err)
		}
		w.readers = append(w.readers, r)
	}
	return true
}

func (w *world) appendSource() {
	b := Batch{Source: "file"}
	for range w.rng.IntN(12) {
		w.source++
		pos := w.source
		if w.sent[pos] == "" {
			w.sent[pos] = fmt.Sprintf("s%d:%s", pos, strings.Repeat("x", w.rng.IntN(150)))
			w.where[pos] = w.rng.IntN(worldPartitions)
		}
		p := w.where[pos]
		if pos <= w.at.Reached[p] {
			continue
		}
		b.Records = append(b.Records, Record{Partition: p, Payload: []byte(w.sent[pos]), Pos: pos, Received: w.rng.Int64N(3)})
	}
	b.Pos = w.source
	before := w.source
	if err := w.log.Appender().Append(b); err != nil {
		w.refused(err)
		// The same batch must be sent again: start over where the journal stands.
		w.source = before
		w.stop(false)
	}
}

// refused checks that an append is refused for one of the reasons there are.
func (w *world) refused(err error) {
	var full *ErrFull
	if !errors.Is(err, ErrBusy) && !errors.As(err, &full) && !errors.Is(err, syscall.EIO) {
		w.t.Fatalf("append: %v", err)
	}
}

func (w *world) appendDoor() {
	var b Batch
	var names []string
	for range 1 + w.rng.IntN(5) {
		w.doors++
		name := fmt.Sprintf("d%d:%s", w.doors, strings.Repeat("y", w.rng.IntN(100)))
		names = append(names, name)
		b.Records = append(b.Records, Record{Partition: w.rng.IntN(worldPartitions), Payload: []byte(name), Topic: "t/" + name[:2], Received: w.rng.Int64()})
	}
	b.Done = func(err error) {
		for _, name := range names {
			w.acked[name] = err == nil
		}
	}
	for _, name := range names {
		w.acked[name] = false
	}
	if err := w.log.Appender().Append(b); err != nil {
		w.refused(err)
	}
}

// read takes some blocks of one partition and checks them against what was
// seen at the same offsets before.
func (w *world) read(p, blocks int) {
	for range blocks {
		b, err := w.readers[p].Next()
		if errors.Is(err, env.ErrCrashed) || errors.Is(err, syscall.EIO) {
			return
		}
		if err != nil {
			w.t.Fatalf("read: %v", err)
		}
		if b == nil {
			return
		}
		w.see(p, b)
		b.Release()
	}
}

func (w *world) see(p int, b *Block) {
	for i := range b.Count {
		text := fmt.Sprintf("control %d %d", b.Kind, b.Time)
		switch b.Kind {
		case Records:
			text = string(b.Record(i))
		case Lost: // nothing rots here, so nobody may be told that something is missing
			w.t.Fatalf("partition %d, offsets %d to %d: %v", p, b.First, b.First+uint64(b.Count), b.Err)
		case Void:
			text = "nothing"
		}
		offset := b.First + uint64(i)
		if old, ok := w.seen[p][offset]; ok && old != text {
			w.t.Fatalf("partition %d offset %d was %.40q and is %.40q", p, offset, old, text)
		}
		w.seen[p][offset] = text
	}
}

// checkpoint makes everything the reader saw of each partition, without a gap, final.
func (w *world) checkpoint() {
	for p := range w.seen {
		for w.seen[p][w.floor[p]] != "" {
			w.floor[p]++
		}
	}
}

func (w *world) stop(power bool) {
	if power {
		w.sim.Crash(w.rng.Uint64())
	} else {
		w.sim.Kill()
	}
	w.open = false
}

// step does one thing at random.
func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.appendSource()
	case n < 50:
		w.appendDoor()
	case n < 56:
		w.tick++
		if err := w.log.Appender().Control(Tick, w.tick, nil); err != nil {
			w.refused(err)
		}
	case n < 76:
		err := w.log.Appender().Flush()
		if err != nil && !errors.Is(err, env.ErrCrashed) {
			w.refused(err)
		}
	case n < 88:
		w.read(w.rng.IntN(worldPartitions), 1+w.rng.IntN(4))
	case n < 90:
		w.checkpoint()
	case n < 93:
		w.stop(true)
	case n < 95:
		w.stop(false)
	case n < 97:
		w.sim.Heal() // one fault at a time: see doc.go on a failed sync
		w.sim.Fail(env.Fault{Crash: true, After: w.rng.IntN(20)})
	case n < 98:
		w.sim.Heal()
		w.sim.SetDisk(0)
		w.sim.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO, After: w.rng.IntN(4)})
	case n < 99:
		w.sim.Heal()
		w.sim.SetDisk(w.sim.Used() + int64(w.rng.IntN(4000)))
	default:
		w.sim.SetDisk(0)
	}
}

func (w *world) run(steps int) {
	for range steps {
		if !w.open {
			w.sim.Heal() // doc.go says why a sync that fails at Open is not among these
			if w.rng.IntN(8) == 0 {
				w.sim.Fail(env.Fault{Crash: true, After: w.rng.IntN(20)})
			}
			w.life(func() { w.open = w.start() })
			if !w.open {
				w.sim.Heal()
				w.sim.SetDisk(0)
				w.stop(w.rng.IntN(2) == 0)
			}
			continue
		}
		crashed := true
		w.life(func() { w.step(); crashed = false })
		if crashed {
			w.sim.Heal()
			w.stop(w.rng.IntN(4) > 0)
		}
	}
	w.finish()
}

// finish lets the source send everything once more, undisturbed, and checks
// that each record is there once and in order.
func (w *world) finish() {
	w.sim.Heal()
	w.sim.SetDisk(0)
	w.stop(true)
	if !w.start() {
		w.t.Fatal("the channel does not open on a healthy machine")
	}
	for int(w.source) < len(w.sent) {
		w.appendSource()
		if err := w.log.Appender().Flush(); err != nil {
			w.t.Fatal(err)
		}
	}
	for p := range w.seen {
		// The channel is read again from its start, past the checkpoint as well.
		r, err := w.log.Read(p, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		w.readers[p].Close()
		w.readers[p] = r
		w.read(p, 1<<30)
		w.check(p)
		r.Close()
	}
}

func (w *world) check(p int) {
	_, end := w.log.Bounds(p)
	var source uint64
	doors := map[string]int{}
	for offset := range end {
		text := w.seen[p][offset]
		switch {
		case text == "":
			w.t.Fatalf("partition %d offset %d of %d cannot be read", p, offset, end)
		case text[0] == 's':
			pos, _ := strconv.ParseUint(text[1:strings.IndexByte(text, ':')], 10, 64)
			for source++; source < pos; source++ {
				if w.where[source] == p {
					w.t.Fatalf("partition %d: record %d of the source is missing before %d, offset %d", p, source, pos, offset)
				}
			}
			if pos != source || w.where[pos] != p {
				w.t.Fatalf("partition %d offset %d: record %d of the source comes twice, or is out of place", p, offset, pos)
			}
		case text[0] == 'd':
			if doors[text]++; doors[text] > 1 {
				w.t.Fatalf("partition %d: %.20s comes twice", p, text)
			}
			delete(w.acked, text)
		}
	}
	for source++; int(source) <= len(w.sent); source++ {
		if w.where[source] == p {
			w.t.Fatalf("partition %d: record %d of the source is missing at the end", p, source)
		}
	}
	if p == worldPartitions-1 {
		for name := range maps.Keys(w.acked) {
			if w.acked[name] {
				w.t.Fatalf("%.20s was acknowledged and is gone", name)
			}
		}
	}
}

// TIDEMILL_JOURNAL_SEEDS asks for another number of worlds than 1,000 (100 with -short).
func TestCrashes(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 100
	}
	if s := os.Getenv("TIDEMILL_JOURNAL_SEEDS"); s != "" {
		seeds, _ = strconv.ParseUint(s, 10, 64)
	}
	lives, worlds := 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.run(120)
			lives, worlds = lives+w.lives, worlds+1
		})
	}
	if lives < worlds*5 {
		t.Errorf("only %d lives in %d worlds", lives, worlds)
	}
}
