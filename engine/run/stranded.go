package run

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
)

// A sink that goes, or becomes another, may leave a spool behind of which not all is delivered. A swap gives
// it a while first. What is left then stays on disk, is told of, and comes to the sink if that comes back.

// goneGrace is how long a swap waits for the deliverers of sinks that go.
const goneGrace = 5 * time.Second

// spools lists the spools of a checkpoint that hold what is not delivered, sorted.
func (c *checkpoint) spools(e *env.Env, data string) []plan.HeldSpool {
	var out []plan.HeldSpool
	for key, token := range c.Tokens {
		done, spooled := c.Delivered[key]
		var t spoolToken
		if !spooled || json.Unmarshal(token, &t) != nil || t.End <= done {
			continue
		}
		waiting := t.End - done
		for _, v := range t.Voids {
			if from, to := max(v[0], done), min(v[1], t.End); from < to {
				waiting -= to - from
			}
		}
		if dir := spoolOf(e, data, key); waiting > 0 && dir != "" {
			address, _, _ := strings.Cut(key, " ")
			out = append(out, plan.HeldSpool{Address: address, Key: key, Dir: dir, Batches: waiting})
		}
	}
	slices.SortFunc(out, func(a, b plan.HeldSpool) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// spoolOf finds the folder of a spool by its sink's key; "" when it is gone. See spoolDir.
func spoolOf(e *env.Env, data, key string) string {
	address, rest, _ := strings.Cut(key, " ")
	sum := sha256.Sum256([]byte(rest))
	for _, digest := range []string{rest, hex.EncodeToString(sum[:])} {
		if len(digest) < 8 {
			continue
		}
		dir := path.Join(data, "spool", address+"."+digest[:8])
		if entries, err := e.FS.ReadDir(dir); err == nil && len(entries) > 0 {
			return dir
		}
	}
	return ""
}

// going lists the deliverers whose sinks are not in a plan any more.
func (g *graph) going(p *plan.Plan) (out []*deliverer) {
	stays := p.SinkKeys()
	for _, d := range g.delivers {
		if !stays[d.key] {
			out = append(out, d)
		}
	}
	return out
}

// deliversFirst tells whether a swap should wait for what sinks that go have not had yet.
func (c *coordinator) deliversFirst(now time.Time) bool {
	c.mu.Lock()
	p := c.swap.plan
	c.mu.Unlock()
	if c.stands.IsZero() {
		c.stands = now
	}
	if now.Sub(c.stands) >= goneGrace || c.stopping.Load() {
		return false
	}
	return slices.ContainsFunc(c.engine.going(p), func(d *deliverer) bool { return !d.drained() && d.trouble.Load() == nil })
}

// leave notes what sinks that have gone have had, so that it does not come again should they come back.
func (e *Engine) leave(old graph) {
	for _, d := range old.going(e.plan) {
		if e.coord.last.Delivered != nil {
			e.coord.last.Delivered[d.key] = max(e.coord.last.Delivered[d.key], d.done.Load())
		}
	}
}

// findStranded finds the spools that nobody delivers, and tells of them.
func (e *Engine) findStranded() {
	stays := e.plan.SinkKeys()
	told := map[string]bool{}
	for _, s := range e.stranded {
		told[s.Key] = true
	}
	e.stranded = nil
	for _, s := range e.coord.last.spools(e.env, e.o.Data) {
		if stays[s.Key] {
			continue
		}
		e.stranded = append(e.stranded, s)
		if !told[s.Key] {
			e.report(fmt.Sprintf("%s is gone, and %d batches of rows for it are undelivered in %s: they stay there, and come to it if it comes back as it was", s.Address, s.Batches, s.Dir))
		}
	}
}
