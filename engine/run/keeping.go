package run

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"path"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// A sink that keeps rows (stage.Keeper) decides by the journal's clock when they are
// a file. Its spool therefore holds that clock, at places that are the same
// whenever it is read again:
//
//	task 0 ──| rows | rows | barrier, tick 12 |──┐
//	task 1 ──| rows | barrier, tick 12        |──┴─▶ sinker: | rows ... rows | mark, tick 12 | checkpoint
//
// A barrier says which tick its task has met, and whether its input is at its end; when all
// are there, the sinker puts a mark into the spool, behind all rows of the epoch.
// A reader of a spool sees rows only once their checkpoint is durable, so that marks
// could not come more often and be of any use.

// spoolMark is what a mark says.
type spoolMark struct {
	tick  int64 // us
	ended bool  // all inputs
	lanes int   // that have said it
}

// markInput stands in place of an input.
const markInput = 0xffffffff

// noteBarrier takes in what a lane's barrier says.
func (s *sinker) noteBarrier(lane int, m flow.Watermarks) {
	if lane >= s.tasks {
		return // the lane of rejects has no clock
	}
	s.clock.ended = m.Ended && (s.clock.ended || s.clock.lanes == 0)
	s.clock.tick = max(s.clock.tick, m.Tick)
	s.clock.lanes++
}

// mark puts a mark into the spool of a sink that wants it.
func (s *sinker) mark() {
	if sp, ok := s.sink.(*spool); ok && sp.marks {
		sp.tick(s.clock)
	}
}

// tick adds a mark unless it says nothing new. It may be called again before what it added is durable.
func (s *spool) tick(m spoolMark) {
	if !s.unsaid && (s.mark.ended || m.tick == s.mark.tick && m.ended == s.mark.ended) {
		return
	}
	s.mark, s.unsaid = m, false
	record := binary.LittleEndian.AppendUint32(nil, markInput)
	record = binary.LittleEndian.AppendUint64(record, uint64(m.tick))
	if m.ended {
		record = append(record, 1)
	} else {
		record = append(record, 0)
	}
	s.pending = append(s.pending, record)
}

// markOf is the mark of a record that holds one.
func markOf(record []byte) spoolMark {
	return spoolMark{tick: int64(binary.LittleEndian.Uint64(record[4:])), ended: record[12] == 1}
}

const markSize = 13

func keeper(s stage.Sink) stage.Keeper {
	k, _ := s.(stage.Keeper)
	return k
}

// tick tells the sink of a mark.
func (d *deliverer) tick(m spoolMark) error {
	k := keeper(d.sink)
	if k == nil {
		return nil // a spool that was another sink's
	}
	d.written = true
	return k.Tick(d.engine.working, m.tick, m.ended)
}

// kept is from where on the sink needs its spool.
func (d *deliverer) kept() uint64 {
	if k := keeper(d.sink); k != nil {
		return min(max(k.Kept(d.delivered), d.done.Load()), d.delivered)
	}
	return d.delivered
}

// spoolDir is the folder of a sink's spool. What a sink with an identity keeps must be found
// again when its other arguments change.
func spoolDir(data string, n *plan.Node) string {
	digest := n.ArgsDigest
	identity := n.Bound.Identity
	if n.Bound.Moves {
		identity = n.Spec.Type
	}
	if identity != "" {
		sum := sha256.Sum256([]byte(identity))
		digest = hex.EncodeToString(sum[:])
	}
	return path.Join(data, "spool", n.Address+"."+digest[:8])
}

// heirloom is the deliverer whose spool a sink takes over: that of the same
// sink before its arguments changed. nil when there is none.
func (g *graph) heirloom(n *plan.Node) *deliverer {
	for _, d := range g.delivers {
		if d.key == n.SinkKey() && n.Bound.Delivery != stage.Transactional {
			return d
		}
	}
	return nil
}

// inherit puts a sink behind the spool of its former self: what that one had not let
// go of comes again.
func (e *Engine) inherit(s *sinker, d *deliverer, real stage.Sink, was *deliverer) error {
	s.sink, d.spool, d.sink, d.delivered = was.spool, was.spool, real, was.done.Load()
	if keeper(was.sink) != nil {
		d.delivered = was.kept() // what it has made a file of since it was last settled need not come again
	}
	if err := d.open(); err != nil {
		return errors.Join(err, d.close())
	}
	e.delivers = append(e.delivers, d)
	return nil
}
