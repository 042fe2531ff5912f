package run

import (
	"errors"
	"io/fs"
	"path"

	"github.com/tidemill/tidemill/engine/env"
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
			return c.held(parts), nil
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
