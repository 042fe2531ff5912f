package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"

	"github.com/tidemill/tidemill/engine/env"
)

var errMeta = errors.New("its checksum is right, but its metadata make no sense: was it written by another version?")

// seal closes what a filled block shows its readers, once its memory will not
// move any more.
func (m *memory) seal() {
	b := &m.block
	end := headerSize + int(m.head.payload)
	if m.head.kind != Records {
		b.Control = m.buf[headerSize:end:end]
		return
	}
	b.Payload = m.buf[headerSize:end:cap(m.buf)]
	b.Topics, b.TopicOf = m.topics.names, m.topics.indexes()
	b.Principals, b.PrincipalOf = m.principals.names, m.principals.indexes()
}

// encodeRecords appends the metadata of a filled block to its buffer and fills
// the header, all but the checksums. The caller seals it.
func (m *memory) encodeRecords(p *pool) {
	b := &m.block
	payload := len(m.buf) - headerSize
	n := b.Count
	room := 64 + 16*n + m.topics.bytes + m.principals.bytes + 2*len(m.topics.names) + 2*len(m.principals.names) + len(m.source) + len(b.Envelopes) + 2*len(b.EnvelopeEnds)
	p.fit(m, len(m.buf)+room+Slack)
	m.head.payload = uint32(payload)
	m.putLengths()
	m.putReceived()
	m.putDictionary(&m.topics)
	m.putDictionary(&m.principals)
	m.putEnvelopes()
	if m.source != "" {
		m.head.flags |= flagSourced
		m.buf = binary.LittleEndian.AppendUint64(putText(m.buf, m.source), m.pos)
	}
	m.head.meta = uint32(len(m.buf) - headerSize - payload)
	m.head.kind, m.head.count, m.head.partition = Records, uint32(n), uint16(b.Partition)
	m.head.first, m.head.seq, m.head.time = b.First, b.Seq, b.Time
}

// fillPage appends a padding to an encoded block that will lie at that place, so that it ends where a page does.
// The caller seals it.
func (m *memory) fillPage(p *pool, at int64) {
	n := int(-(at + m.head.size()) & (env.DirectPage - 1))
	switch n {
	case 0:
		return
	case 1:
		n += env.DirectPage // its length has to stand in it
	}
	end := len(m.buf)
	p.grow(m, end+n+Slack)
	m.buf = m.buf[:end+n]
	clear(m.buf[end:])
	binary.LittleEndian.PutUint16(m.buf[end+n-2:], uint16(n))
	m.head.meta += uint32(n)
	m.head.flags |= flagPadded
}

// unpad finds out how much of a loaded block's metadata is padding.
func (m *memory) unpad() error {
	m.pad = 0
	if m.head.flags&flagPadded == 0 {
		return nil
	}
	if m.head.meta < 2 {
		return errMeta
	}
	m.pad = int(binary.LittleEndian.Uint16(m.buf[m.head.size()-2:]))
	if m.pad < 2 || m.pad > int(m.head.meta) {
		return errMeta
	}
	return nil
}

// meta is the metadata of a loaded block, without its padding.
func (m *memory) meta() []byte {
	return m.buf[headerSize+int(m.head.payload) : int(m.head.size())-m.pad]
}

func (m *memory) putLengths() {
	longest, before := uint32(0), uint32(0)
	for _, end := range m.block.Ends {
		longest = max(longest, end-before)
		before = end
	}
	before = 0
	if longest > math.MaxUint16 {
		m.head.flags |= flagWide
		for _, end := range m.block.Ends {
			m.buf = binary.LittleEndian.AppendUint32(m.buf, end-before)
			before = end
		}
		return
	}
	at := len(m.buf)
	m.buf = m.buf[:at+2*len(m.block.Ends)]
	out := m.buf[at:]
	for i, end := range m.block.Ends {
		binary.LittleEndian.PutUint16(out[2*i:], uint16(end-before))
		before = end
	}
}

func (m *memory) putReceived() {
	le := binary.LittleEndian
	times := m.block.Received
	least, most := slices.Min(times), slices.Max(times)
	switch {
	case least == most:
		m.head.flags |= flagSame
		m.buf = le.AppendUint64(m.buf, uint64(least))
	case uint64(most)-uint64(least) <= math.MaxUint32:
		m.buf = le.AppendUint64(m.buf, uint64(least))
		for _, t := range times {
			m.buf = le.AppendUint32(m.buf, uint32(t-least))
		}
	default:
		m.head.flags |= flagRaw
		for _, t := range times {
			m.buf = le.AppendUint64(m.buf, uint64(t))
		}
	}
}

func (m *memory) putDictionary(d *dictionary) {
	m.buf = binary.LittleEndian.AppendUint16(m.buf, uint16(len(d.names)))
	for _, name := range d.names {
		m.buf = putText(m.buf, name)
	}
	for _, id := range d.indexes() {
		m.buf = binary.LittleEndian.AppendUint16(m.buf, id)
	}
}

func (m *memory) putEnvelopes() {
	b := &m.block
	if len(b.EnvelopeEnds) == 0 {
		return
	}
	m.head.flags |= flagEnveloped
	before := uint32(0)
	for _, end := range b.EnvelopeEnds {
		m.buf = binary.LittleEndian.AppendUint16(m.buf, uint16(end-before))
		before = end
	}
	m.buf = append(m.buf, b.Envelopes...)
}

func (m *memory) takeEnvelopes(c *cursor, n int) {
	b, end := &m.block, uint32(0)
	raw := c.take(2 * n)
	if c.bad {
		return
	}
	for i := range n {
		end += uint32(binary.LittleEndian.Uint16(raw[2*i:]))
		b.EnvelopeEnds = append(b.EnvelopeEnds, end)
	}
	b.Envelopes = append(b.Envelopes, c.take(int(end))...)
}

// decodeRecords makes the block of m.head from m.buf, which holds header and
// body; the body's checksum is right.
func (m *memory) decodeRecords() error {
	h, b := &m.head, &m.block
	n := int(h.count)
	c := cursor{b: m.meta()}
	b.Envelopes, b.EnvelopeEnds = b.Envelopes[:0], b.EnvelopeEnds[:0]
	if n == 0 || int(h.payload) > math.MaxUint32 {
		return errMeta
	}
	b.Kind, b.Partition, b.First, b.Count, b.Seq, b.Time = Records, int(h.partition), h.first, n, h.seq, h.time
	if !m.takeLengths(&c, n) {
		return errMeta
	}
	m.takeReceived(&c, n)
	takeDictionary(&c, &m.topics, n)
	takeDictionary(&c, &m.principals, n)
	if h.flags&flagEnveloped != 0 {
		m.takeEnvelopes(&c, n)
	}
	if h.flags&flagSourced != 0 {
		m.source, m.pos = c.text(), c.u64()
	}
	if c.bad || len(c.b) != 0 || len(m.topics.names) == 0 || len(m.principals.names) == 0 {
		return errMeta
	}
	m.seal()
	return nil
}

func (m *memory) takeLengths(c *cursor, n int) bool {
	b, le := &m.block, binary.LittleEndian
	end, width := uint64(0), 2
	if m.head.flags&flagWide != 0 {
		width = 4
	}
	raw := c.take(n * width)
	if c.bad {
		return false
	}
	b.Ends = slices.Grow(b.Ends[:0], n)[:n]
	for i := range b.Ends {
		if width == 2 {
			end += uint64(le.Uint16(raw[2*i:]))
		} else {
			end += uint64(le.Uint32(raw[4*i:]))
		}
		b.Ends[i] = uint32(end)
	}
	return end == uint64(m.head.payload)
}

func (m *memory) takeReceived(c *cursor, n int) {
	b, le := &m.block, binary.LittleEndian
	b.Received = slices.Grow(b.Received[:0], n)[:n]
	var base int64
	if m.head.flags&flagRaw == 0 {
		base = int64(c.u64())
	}
	switch {
	case m.head.flags&flagSame != 0:
		for i := range b.Received {
			b.Received[i] = base
		}
	case m.head.flags&flagRaw != 0:
		if raw := c.take(8 * n); raw != nil {
			for i := range b.Received {
				b.Received[i] = int64(le.Uint64(raw[8*i:]))
			}
		}
	default:
		if raw := c.take(4 * n); raw != nil {
			for i := range b.Received {
				b.Received[i] = base + int64(le.Uint32(raw[4*i:]))
			}
		}
	}
}

func takeDictionary(c *cursor, d *dictionary, n int) {
	names := int(c.u16())
	for range names {
		d.names = append(d.names, c.text())
		if c.bad {
			return
		}
	}
	if names < 2 {
		return
	}
	raw := c.take(2 * n)
	for i := 0; i+1 < len(raw); i += 2 {
		id := binary.LittleEndian.Uint16(raw[i:])
		if int(id) >= names {
			c.bad = true
			return
		}
		d.of = append(d.of, id)
	}
}

// encodeControl fills the buffer of a control block whose note is body.
func (m *memory) encodeControl(p *pool, body []byte) {
	p.grow(m, headerSize+len(body)+8*len(m.firsts)+Slack)
	m.buf = append(m.buf[:headerSize], body...)
	m.buf = putU64s(m.buf, m.firsts)
	m.head.payload, m.head.meta = uint32(len(body)), uint32(8*len(m.firsts))
	m.head.partition, m.head.count = allPartitions, 1
	m.head.kind, m.head.seq, m.head.time = m.block.Kind, m.block.Seq, m.block.Time
}

// decodeControl makes the control block of m.head from m.buf.
func (m *memory) decodeControl(partitions int) error {
	h := &m.head
	c := cursor{b: m.meta()}
	if m.firsts = c.u64s(partitions); c.bad || len(c.b) != 0 {
		return errMeta
	}
	b := &m.block
	b.Kind, b.Count, b.Seq, b.Time = h.kind, 1, h.seq, h.time
	m.seal()
	return nil
}

// view returns a control block as a reader of one partition sees it. It lives
// on its own; m may go.
func (m *memory) view(partition int) *Block {
	b := &Block{
		Kind: m.block.Kind, Partition: partition, First: m.firsts[partition], Count: 1,
		Seq: m.block.Seq, Time: m.block.Time, Control: slices.Clone(m.block.Control),
	}
	b.refs.Store(1)
	return b
}

// addSum takes what has been added to the body into its checksum.
func (m *memory) addSum() {
	m.sum = crc32.Update(m.sum, castagnoli(), m.buf[headerSize+m.summed:])
	m.summed = len(m.buf) - headerSize
}

// finish writes the checksums of an encoded block that will lie at that place.
func (m *memory) finish(segment *segment, at int64) {
	m.segment, m.at = segment, at
	m.addSum()
	m.head.bodyCRC = m.sum
	m.head.encode(m.buf, segment.id, at)
}
