package journal

import "sync/atomic"

// Slack is how many bytes after Block.Payload can be read without a fault, so
// that decoders may load whole words past the end.
const Slack = 64

// Block is one sealed block as a reader sees it: the unit of reading, and of
// damage. Its slices are shared by all readers of the block and must not be
// written; they are valid until Release.
type Block struct {
	Kind      Kind
	Partition int
	// First is the offset of the block's first record; the block covers Count
	// offsets. A control block covers one.
	First uint64
	Count int
	// Seq numbers the blocks of the channel, over all partitions.
	Seq uint64
	// Time is when the block was opened (Records) or its control time, us.
	Time int64

	// Payload holds the payloads one after the other: record i is
	// Payload[Ends[i-1]:Ends[i]], with Ends[-1] taken as 0. cap(Payload) is at
	// least Slack more than its length.
	Payload []byte
	Ends    []uint32
	// Received is each record's receive time, us.
	Received []int64
	// TopicOf[i] is the index in Topics of record i's topic; nil when all have
	// Topics[0]. Likewise principals.
	Topics      []string
	TopicOf     []uint16
	Principals  []string
	PrincipalOf []uint16

	// Envelopes holds the records' envelopes one after the other, as Payload holds
	// the payloads; EnvelopeEnds is empty when no record has one.
	Envelopes    []byte
	EnvelopeEnds []uint32

	Control []byte // body of a Note
	Err     error  // of a Lost block

	refs atomic.Int32
	free func(*Block)
	mem  *memory // what the slices point into, and where the block lies; nil for Lost
}

// Record returns the payload of record i, without its slack.
func (b *Block) Record(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = b.Ends[i-1]
	}
	return b.Payload[start:b.Ends[i]:b.Ends[i]]
}

// Envelope returns the envelope of record i; empty when it has none.
func (b *Block) Envelope(i int) []byte {
	if len(b.EnvelopeEnds) == 0 {
		return nil
	}
	start := uint32(0)
	if i > 0 {
		start = b.EnvelopeEnds[i-1]
	}
	return b.Envelopes[start:b.EnvelopeEnds[i]:b.EnvelopeEnds[i]]
}

// Slice returns records i to j of a block of records as a block of its own, which shares b's
// memory and keeps it until it is released.
func (b *Block) Slice(i, j int) *Block {
	if b.Kind != Records || i < 0 || j < i || j > len(b.Ends) {
		panic("BUG: a slice of what a block does not hold")
	}
	start := func(ends []uint32) uint32 {
		if i == 0 || len(ends) == 0 {
			return 0
		}
		return ends[i-1]
	}
	from := func(ends []uint32) []uint32 {
		if len(ends) == 0 {
			return nil
		}
		out := make([]uint32, j-i)
		for k := range out {
			out[k] = ends[i+k] - start(ends)
		}
		return out
	}
	s := &Block{Kind: Records, Partition: b.Partition, First: b.First + uint64(i), Count: j - i, Seq: b.Seq, Time: b.Time,
		Ends: from(b.Ends), Received: b.Received[i:j], Topics: b.Topics, Principals: b.Principals, EnvelopeEnds: from(b.EnvelopeEnds)}
	s.Payload, s.Envelopes = b.Payload[start(b.Ends):], b.Envelopes[min(int(start(b.EnvelopeEnds)), len(b.Envelopes)):]
	if j > i {
		s.Payload = s.Payload[:s.Ends[j-i-1]]
	}
	if len(b.TopicOf) > 0 {
		s.TopicOf = b.TopicOf[i:j]
	}
	if len(b.PrincipalOf) > 0 {
		s.PrincipalOf = b.PrincipalOf[i:j]
	}
	b.Retain()
	s.refs.Store(1)
	s.free = func(*Block) { b.Release() }
	return s
}

// Retain adds a reference. A new block has one.
func (b *Block) Retain() { b.refs.Add(1) }

// Release drops a reference; the last one gives the memory back to the log.
func (b *Block) Release() {
	switch n := b.refs.Add(-1); {
	case n < 0:
		panic("BUG: journal block released more often than retained")
	case n == 0 && b.free != nil:
		b.free(b)
	}
}
