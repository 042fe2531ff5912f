package run

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// Held tells what this engine has at hand for a plan to take over, as of its
// newest checkpoint. It may be called at any time, from any goroutine.
func (e *Engine) Held() *plan.Held {
	h, err := ReadHeld(e.env, e.o.Data)
	if err != nil || h.Epoch == 0 {
		h = &plan.Held{}
	}
	v := e.view.Load()
	h.Nodes = v.plan.HeldNodes()
	if len(h.Channels) == 0 {
		for _, ch := range v.plan.Channels {
			h.Channels = append(h.Channels, plan.HeldChannel{Name: ch.Config.Name, Partitions: ch.Config.Partitions})
		}
	}
	return h
}

// ReadHeld reads from a data folder what its newest checkpoint holds, also
// while an engine runs there. Nothing is changed. Where there is no
// checkpoint, Epoch is 0.
func ReadHeld(e *env.Env, data string) (*plan.Held, error) {
	s := &store{e, path.Join(data, "checkpoints")}
	const attempts = 5 // an engine may remove what we are about to read
	var err error
	for range attempts {
		var epochs []uint64
		epochs, err = s.epochs()
		if errors.Is(err, fs.ErrNotExist) {
			return &plan.Held{}, nil
		}
		if err != nil {
			return nil, err
		}
		if len(epochs) == 0 {
			return &plan.Held{}, nil
		}
		var c *checkpoint
		var parts map[string]*restored
		if c, parts, err = s.restore(epochs[0]); err == nil {
			h := c.held(parts)
			h.Spools = c.spools(e, data)
			h.Past = func(channel string) (plan.Past, error) { return pastOf(e, data, channel, parts) }
			return h, nil
		}
	}
	return nil, err
}

func (c *checkpoint) held(parts map[string]*restored) *plan.Held {
	h := &plan.Held{Epoch: c.Epoch, Nodes: c.Nodes}
	channels, tables := map[string]int{}, map[string]int{}
	for i := range c.Parts {
		p := &c.Parts[i]
		at, known := channels[p.Channel]
		if !known {
			at = len(h.Channels)
			channels[p.Channel] = at
			h.Channels = append(h.Channels, plan.HeldChannel{Name: p.Channel, Idle: p.Idle})
		}
		h.Channels[at].Partitions++
		h.Channels[at].Offset += p.Next
		for _, t := range p.Tables {
			at, known := tables[t.Key]
			if !known {
				at = len(h.Tables)
				tables[t.Key] = at
				h.Tables = append(h.Tables, plan.HeldTable{Address: addressOfKey(t.Key), Decl: t.Decl})
			}
			h.Tables[at].Entries += tableLen(parts[p.id()].tables[t.Key])
		}
	}
	return h
}

func tableLen(t *state.Table) int64 {
	if t == nil {
		return 0
	}
	return int64(t.Len())
}

// pastOf tells what a channel's journal still holds; parts is a checkpoint's state.
func pastOf(e *env.Env, data, channel string, parts map[string]*restored) (plan.Past, error) {
	log, err := journal.OpenPast(e, path.Join(data, "journal", channel), journal.Options{})
	if err != nil {
		return plan.Past{}, err
	}
	defer log.Close() // opened for reading only
	past := plan.Past{Whole: true}
	n := log.Partitions()
	from, to := make([]uint64, n), make([]uint64, n)
	for p := range n {
		from[p], to[p] = log.Bounds(p)
		if from[p] > 0 {
			past.Whole = false
			since, err := beginning(log, p, from[p])
			if err != nil {
				return plan.Past{}, err
			}
			past.Since = max(past.Since, since)
		}
		if r := parts[partID(channel, p)]; r != nil {
			past.Marks = append(past.Marks, r.marks(channel)...)
			to[p] = min(to[p], r.state.Next)
		}
	}
	slices.Sort(past.Marks)
	past.Records = func(at int64, all bool) (records uint64) {
		log, err := journal.OpenPast(e, path.Join(data, "journal", channel), journal.Options{})
		if err != nil {
			return 0
		}
		defer log.Close() // as above
		for p := range n {
			first := from[p]
			if !all {
				first = max(first, log.Seek(p, at))
			}
			records += to[p] - min(first, to[p])
		}
		return records
	}
	return past, nil
}

// beginning is when the first block of a partition that is kept was begun, us.
func beginning(log journal.Log, part int, at uint64) (int64, error) {
	r, err := log.Read(part, at)
	if err != nil {
		return 0, err
	}
	defer r.Close() // only reads
	for {
		b, err := r.Next()
		if b == nil || err != nil {
			return 0, err
		}
		since, lost := b.Time, b.Kind == journal.Lost || b.Kind == journal.Void
		b.Release()
		if !lost {
			return since, nil
		}
	}
}

// marks are the watermarks of a partition's keys, us.
func (r *restored) marks(channel string) (out []int64) {
	for key, t := range r.tables {
		if addressOfKey(key) != "" || t.Decl().Name != "channel."+channel+".keys" {
			continue
		}
		marks := t.I64(0)
		t.Range(func(slot uint32) bool {
			if m := marks[slot]; m != 0 {
				out = append(out, m)
			}
			return true
		})
	}
	return out
}
