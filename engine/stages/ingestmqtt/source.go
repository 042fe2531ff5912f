package ingestmqtt

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/stage"
)

// source is the server and the way from it to the journal.
type source struct {
	op     stage.Opening
	to     stage.SourceEnv
	opts   options
	look   atomic.Pointer[look] // who may come in
	looked time.Time            // when the files were looked at
	told   string               // what was wrong with them
	recut  bool                 // they have changed lately
	server *mqtt.Server
	leave  func() // the engine's hub
	quit   chan struct{}
	slots  sync.Pool // of *slot
	heard  []net.Addr
	other  atomic.Bool // somebody has been told of a topic that is not the channel's
	// restored says that sessions and retained messages are back.
	restored bool
}

// slot is what one Append needs: memory, and a way to find keys in payloads.
type slot struct {
	records   []journal.Record
	partition func([]byte) int
	envelopes []byte
	envelope  decode.Envelope
	props     mqtt.Props
}

func open(op stage.Opening, to stage.SourceEnv, o options) (stage.Source, error) {
	s := &source{op: op, to: to, opts: o, quit: make(chan struct{})}
	s.slots.New = func() any { return &slot{partition: to.NewPartition()} }
	now, err := s.loadLook()
	if err != nil {
		return nil, err
	}
	s.look.Store(now)
	so := o.server
	so.Env, so.Inlet, so.Access, so.Count = op.Env, s, s, op.Count
	so.Report = func(line string) { op.Reject(stage.Reject{Reason: line}) }
	s.server = mqtt.NewServer(so)
	s.leave = op.Hub.Join(op.Address, s.server)
	return s, nil
}

// maxFile is how many bytes of a file of users or certificates are read.
const maxFile = 64 << 20

func read(fs env.FS, name string) ([]byte, error) {
	f, err := fs.Open(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, which is more than such a file can need", name, info.Size())
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// Step listens, as far as it does not yet; all else happens on the server's goroutines.
func (s *source) Step() (stage.Status, error) {
	if !s.restored && s.op.DataDir != "" {
		// Not in Open: when the ingest is exchanged, the one before still writes there.
		if err := s.server.Restore(path.Join(s.op.DataDir, "mqtt", s.op.Address)); err != nil {
			return stage.Idle, err
		}
		s.restored = true
	}
	s.lookAgain()
	for len(s.heard) < len(s.opts.doors) {
		d := s.opts.doors[len(s.heard)]
		l, err := net.Listen("tcp", d.address)
		if err != nil {
			return stage.Idle, err
		}
		s.heard = append(s.heard, l.Addr())
		door := mqtt.Listener{Listener: l, WebSocket: d.socket}
		if d.encrypted {
			door.TLS, door.Chain = s.dynamicTLS(), s.chainOf
		}
		s.server.Listen(door)
	}
	return stage.Idle, nil
}

// Addresses returns where it listens. For tests that listen on port 0.
func (s *source) Addresses() []net.Addr { return s.heard }

// What a memo says of a topic beside its partition.
const (
	memoOther  = -1 // no record of the channel
	memoSearch = 1  // the key is in the payload
	memoFirst  = 2  // partition 0
)

// Append implements mqtt.Inlet.
func (s *source) Append(batch []mqtt.Inbound, done func(error)) error {
	_, err := s.take(batch, done, s.append)
	return err
}

// TryAppend implements mqtt.Taker.
func (s *source) TryAppend(batch []mqtt.Inbound, done func(error)) (took bool, err error) {
	return s.take(batch, done, func(b journal.Batch) (bool, error) {
		err := s.to.Journal.Append(b)
		if full := (*journal.ErrFull)(nil); errors.As(err, &full) || errors.Is(err, journal.ErrBusy) {
			return false, nil
		}
		return true, err
	})
}

// take makes records of the batch and gives them to the journal by put.
func (s *source) take(batch []mqtt.Inbound, done func(error), put func(journal.Batch) (bool, error)) (took bool, err error) {
	slot := s.slots.Get().(*slot)
	defer s.slots.Put(slot)
	records := slot.records[:0]
	slot.envelopes = slot.envelopes[:0]
	for i := range batch {
		m := &batch[i]
		if *m.Memo == 0 {
			*m.Memo = s.memo(m.Topic)
		}
		partition := int(*m.Memo) - memoFirst
		switch {
		case *m.Memo == memoOther:
			s.op.Count("other_topics", 1)
			if !s.other.Load() && !s.other.Swap(true) {
				s.op.Reject(stage.Reject{Reason: fmt.Sprintf("a message came on %.200q, which topic does not name: it is for subscribers alone; "+
					"more of these are counted (other_topics)", m.Topic)})
			}
			continue
		case m.Retain && len(m.Payload) == 0:
			continue
		case *m.Memo == memoSearch:
			partition = slot.partition(m.Payload)
		}
		if m.Resent {
			s.op.Count("sent_again", 1)
		}
		// Filled in where it stands: a copy of what was just put together elsewhere would wait for all of that to be written.
		if n := len(records); n < cap(records) {
			records = records[:n+1]
		} else {
			records = append(records, journal.Record{})
		}
		r := &records[len(records)-1]
		r.Partition, r.Payload, r.Topic, r.Principal = partition, m.Payload, m.Topic, m.Client.Principal
		r.Received, r.Envelope, r.Pos = m.Received, s.envelope(slot, m), 0
	}
	slot.records = records
	defer clear(records)
	if len(records) == 0 {
		if done != nil {
			done(nil)
		}
		return true, nil
	}
	return put(journal.Batch{Records: records, Done: done})
}

// envelope says which message of its sender m is, and what of its properties is asked for. It
// is in the slot's memory.
func (s *source) envelope(slot *slot, m *mqtt.Inbound) []byte {
	if m.Session == 0 && !m.Resent && (len(s.opts.properties) == 0 || len(m.Props) == 0) {
		return nil
	}
	e := &slot.envelope
	e.Reset()
	e.Session, e.Packet, e.Resent, e.Uses, e.Many, e.Settled = m.Session, m.Packet, m.Resent, m.Uses, m.Many, m.Settled
	if len(s.opts.properties) > 0 && len(m.Props) > 0 && mqtt.DecodeProps(m.Props, mqtt.Publish, &slot.props) == nil {
		for _, name := range s.opts.properties {
			at := slices.IndexFunc(slot.props.User, func(p mqtt.Pair) bool { return string(p.Key) == name })
			if at >= 0 && !e.AddProperty(name, string(slot.props.User[at].Value)) {
				s.op.Count("properties_over_limit", 1)
			}
		}
	}
	at := len(slot.envelopes)
	slot.envelopes = e.Append(slot.envelopes)
	return slot.envelopes[at:len(slot.envelopes):len(slot.envelopes)]
}

// memo finds out what there is to know of a topic.
func (s *source) memo(topic string) int32 {
	for _, t := range s.opts.topics {
		values, ok := t.Match(topic, nil)
		if !ok {
			continue
		}
		for i, name := range t.Columns() {
			if name == s.opts.key {
				return memoFirst + int32(flow.PartitionOf(flow.Hash([]byte(values[i])), s.to.Channel.Partitions))
			}
		}
		return memoSearch
	}
	return memoOther
}

// append waits while the journal has no room, and with it the connection that
// sent the batch.
func (s *source) append(b journal.Batch) (took bool, err error) {
	const longest = 200 * time.Millisecond
	pause := time.Millisecond
	for {
		err := s.to.Journal.Append(b)
		var full *journal.ErrFull
		switch {
		case err == nil:
			return true, nil
		case errors.As(err, &full):
			s.op.Count("waits_for_disk", 1)
			pause = longest
		case errors.Is(err, journal.ErrBusy):
			s.op.Count("waits_for_journal", 1)
		default:
			return true, err
		}
		if !s.wait(pause) {
			return true, net.ErrClosed
		}
		pause = min(2*pause, longest)
	}
}

func (s *source) wait(d time.Duration) bool {
	passed := make(chan struct{})
	defer s.op.Env.Clock.After(d, func() { close(passed) })()
	select {
	case <-passed:
		return true
	case <-s.quit:
		return false
	}
}

// Close ends all connections.
func (s *source) Close() error {
	close(s.quit)
	s.leave()
	return s.server.Close()
}

var (
	_ stage.Source = (*source)(nil)
	_ mqtt.Inlet   = (*source)(nil)
	_ mqtt.Taker   = (*source)(nil)
)
