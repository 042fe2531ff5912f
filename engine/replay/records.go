package replay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

// Raw is a record as it lies in a journal.
type Raw struct {
	Record
	Topic string
}

// Records returns the latest records of the replay's channel and, where one is asked for, device: at most so
// many, in the order in which they were received.
func (r *Replay) Records(ctx context.Context, most int) ([]Raw, error) {
	h := r.pieces[r.o.Channel]
	if h == nil {
		return nil, errors.New("pipelines feed this channel; its records are in the channels that ingests feed")
	}
	mine := r.isDevice()
	var all []Raw
	for p := range h.Partitions() {
		reader, err := h.Log.Read(p, h.from[p])
		if err != nil {
			return nil, err
		}
		var list []Raw
		for next := h.from[p]; next < h.to[p] && err == nil; err = ctx.Err() {
			var b *journal.Block
			if b, err = reader.Next(); b == nil || err != nil {
				break
			}
			next = b.First + uint64(b.Count)
			list = append(list, rawOf(b, r.o.Channel, h.from[p], h.to[p], mine)...)
			if len(list) > 2*most {
				list = slices.Clone(list[len(list)-most:])
			}
			b.Release()
		}
		if err = errors.Join(err, reader.Close()); err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b Raw) int { return cmp.Compare(a.Received, b.Received) })
	return all[max(0, len(all)-most):], nil
}

func rawOf(b *journal.Block, channel string, from, to uint64, mine func(payload []byte, topic string) bool) (out []Raw) {
	if b.Kind != journal.Records {
		return nil
	}
	for i := range b.Count {
		at, topic := b.First+uint64(i), ""
		switch {
		case len(b.TopicOf) > 0:
			topic = b.Topics[b.TopicOf[i]]
		case len(b.Topics) > 0:
			topic = b.Topics[0]
		}
		if at >= from && at < to && mine(b.Record(i), topic) {
			out = append(out, Raw{Record{Channel: channel, Partition: b.Partition, Offset: int64(at), Received: b.Received[i], Payload: bytes.Clone(b.Record(i))}, topic})
		}
	}
	return out
}

// isDevice tells records of the device by their key, or a level of their topic.
func (r *Replay) isDevice() func(payload []byte, topic string) bool {
	if r.o.Device == "" {
		return func([]byte, string) bool { return true }
	}
	find, want := decode.NewKeyFinder(r.plan.Channel(r.o.Channel).Config.Key), flow.Hash([]byte(r.o.Device))
	return func(payload []byte, topic string) bool {
		hash, ok := find.Hash(payload)
		return ok && hash == want || slices.Contains(strings.Split(topic, "/"), r.o.Device)
	}
}

// Seen lists the edges that the replay looks at, with the names of their columns.
func (r *Replay) Seen() (edges []string, columns map[string][]string) {
	columns = map[string][]string{}
	for _, pl := range r.plan.Pipelines {
		for _, n := range pl.Nodes {
			if !n.IsSink() && r.seen[n.Address] {
				edges = append(edges, n.Address)
				for _, f := range flow.UserFields(n.Bound.Out) {
					columns[n.Address] = append(columns[n.Address], f.Name)
				}
			}
		}
		rejects := "pipeline." + pl.Config.Name + ".rejects"
		edges, columns[rejects] = append(edges, rejects), []string{"stage", "field", "reason"}
	}
	return edges, columns
}
