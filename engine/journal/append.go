package journal

import (
	"fmt"
)

// sumBytes is how many bytes of a block are gathered before they are added to
// its checksum: while they are still in the cache nearest to the processor.
const sumBytes = 8 << 10

// overhead is what Pending counts for a record beside its payload, bytes.
const overhead = 16

func (l *disk) Append(b Batch) error {
	f := &l.filling
	bytes, err := l.weigh(&b)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refused(); err != nil {
		return err
	}
	if f.pending > 0 && f.pending+bytes > l.o.PendingBytes {
		return ErrBusy
	}
	if err := f.know(b.Source); err != nil {
		return err
	}
	f.pending += bytes
	f.waiting += bytes
	l.fill(b.Records, b.Source)
	l.fillLines(&b)
	if b.Source != "" {
		f.marks[b.Source] = max(f.marks[b.Source], b.Pos)
	}
	if b.Done != nil {
		f.dones = append(f.dones, b.Done)
	}
	return nil
}

// weigh checks what no retry would help and returns what the batch weighs, bytes.
func (l *disk) weigh(b *Batch) (int, error) {
	total := overhead
	if len(b.Source) > MaxName {
		return 0, fmt.Errorf("journal: the name of a source has %d bytes; %d are the limit", len(b.Source), MaxName)
	}
	for i := range b.Records {
		r := &b.Records[i]
		if uint(r.Partition) >= uint(l.o.Partitions) {
			panic(fmt.Sprintf("BUG: a record for partition %d of %d", r.Partition, l.o.Partitions))
		}
		if len(r.Payload) > MaxRecord {
			return 0, fmt.Errorf("journal: record %d of the batch has %d bytes; %d are the limit", i, len(r.Payload), MaxRecord)
		}
		if n := max(len(r.Topic), len(r.Principal)); n > MaxName {
			return 0, fmt.Errorf("journal: the topic or principal of record %d of the batch has %d bytes; %d are the limit", i, n, MaxName)
		}
		if len(r.Envelope) > MaxName {
			return 0, fmt.Errorf("journal: the envelope of record %d of the batch has %d bytes; %d are the limit", i, len(r.Envelope), MaxName)
		}
		total += len(r.Payload) + len(r.Envelope) + overhead
	}
	for i := range b.Lines {
		r := &b.Lines[i]
		if uint(r.Partition) >= uint(l.o.Partitions) {
			panic(fmt.Sprintf("BUG: a line for partition %d of %d", r.Partition, l.o.Partitions))
		}
		if len(r.Payload) > MaxRecord {
			return 0, fmt.Errorf("journal: line %d of the batch has %d bytes; %d are the limit", i, len(r.Payload), MaxRecord)
		}
		total += len(r.Payload)
	}
	return total + overhead*len(b.Lines), nil
}

func (f *filling) refused() error {
	switch {
	case f.refuse != nil:
		return f.refuse
	case f.full != nil:
		return f.full
	}
	return f.over
}

func (f *filling) know(source string) error {
	if source == "" || f.known[source] {
		return nil
	}
	if len(f.known) >= maxSources {
		return fmt.Errorf("journal: the channel has had %d sources, which is the limit", maxSources)
	}
	f.known[source] = true
	return nil
}

// sealOthers closes blocks of other sources: a block holds records of one, so
// that recovery can tell which are to be asked for again.
func (l *disk) sealOthers(source string) {
	for p, m := range l.filling.open {
		if m != nil && m.source != source {
			l.seal(p)
		}
	}
}

// fill copies records into open blocks.
func (l *disk) fill(records []Record, source string) {
	if len(records) > 0 {
		l.sealOthers(source)
	}
	for i := range records {
		r := &records[i]
		m := l.room(r.Partition, len(r.Payload), source)
		b := &m.block
		at := len(b.Ends)
		m.put(r.Payload, r.Received)
		if at == 0 || r.Topic != m.topics.last || r.Principal != m.principals.last {
			m.name(r.Topic, r.Principal, at)
		} else {
			m.topics.again()
			m.principals.again()
		}
		if len(r.Envelope) > 0 || len(b.EnvelopeEnds) > 0 {
			m.envelop(r.Envelope, at)
		}
		m.pos = r.Pos
	}
}

// fillLines is fill for what needs less.
func (l *disk) fillLines(batch *Batch) {
	if len(batch.Lines) > 0 {
		l.sealOthers(batch.Source)
	}
	for i := range batch.Lines {
		r := &batch.Lines[i]
		m := l.room(r.Partition, len(r.Payload), batch.Source)
		b := &m.block
		at := len(b.Ends)
		m.put(r.Payload, batch.LinesReceived)
		if at == 0 || len(m.topics.names) > 1 || len(m.principals.names) > 1 || m.topics.last != "" || m.principals.last != "" {
			m.name("", "", at)
		}
		if len(b.EnvelopeEnds) > 0 {
			m.envelop(nil, at)
		}
		m.pos = r.Pos
	}
}

// room returns the partition's open block, which has room for n bytes more.
func (l *disk) room(partition, n int, source string) *memory {
	m := l.filling.open[partition]
	if m == nil || m.room < n || len(m.block.Ends) == maxCount {
		m = l.turn(partition, n, source)
	}
	if n += len(m.buf); n > cap(m.buf) {
		l.pool.grow(m, n)
	}
	return m
}

// put adds a record to an open block that has room for it.
func (m *memory) put(payload []byte, received int64) {
	m.buf = append(m.buf, payload...)
	m.room -= len(payload)
	n := len(m.buf) - headerSize
	if n-m.summed >= sumBytes {
		m.addSum()
	}
	m.block.Ends = append(m.block.Ends, uint32(n))
	m.block.Received = append(m.block.Received, received)
}

// envelop notes the envelope of the n-th record; those before the first that has one have none.
func (m *memory) envelop(envelope []byte, n int) {
	b := &m.block
	for len(b.EnvelopeEnds) < n {
		b.EnvelopeEnds = append(b.EnvelopeEnds, 0)
	}
	b.Envelopes = append(b.Envelopes, envelope...)
	b.EnvelopeEnds = append(b.EnvelopeEnds, uint32(len(b.Envelopes)))
	m.room -= len(envelope) + 2
}

// name notes the topic and principal of the n-th record when one differs from
// those of the record before.
func (m *memory) name(topic, principal string, n int) {
	before := m.topics.bytes + m.principals.bytes
	m.topics.add(topic, n)
	m.principals.add(principal, n)
	m.room -= m.topics.bytes + m.principals.bytes - before
}

// turn seals a partition's open block and opens the next, with room for n bytes.
// One record may be larger than a block should be: then it has one of its own.
func (l *disk) turn(partition, n int, source string) *memory {
	f := &l.filling
	l.seal(partition)
	m := l.pool.get(headerSize + max(f.like[partition], n) + Slack)
	m.buf = m.buf[:headerSize]
	m.source, m.room = source, l.o.BlockBytes
	m.head = header{}
	m.block.Kind, m.block.Partition = Records, partition
	m.block.Time = l.e.Clock.Now().UnixMicro()
	f.open[partition] = m
	return m
}

// seal gives a partition's open block its offsets. The caller holds filling.mu.
func (l *disk) seal(partition int) {
	f := &l.filling
	m := f.open[partition]
	if m == nil {
		return
	}
	m.block.Count = len(m.block.Ends)
	m.block.First = f.next[partition]
	f.next[partition] += uint64(m.block.Count)
	f.sealed = append(f.sealed, m)
	f.open[partition] = nil
	f.like[partition] = min(len(m.buf), l.o.BlockBytes)
}

func (l *disk) Control(kind Kind, timeUS int64, body []byte) error {
	if kind != Tick && kind != End && kind != Note {
		panic(fmt.Sprintf("BUG: a control block of kind %d", kind))
	}
	if len(body) > MaxNote {
		return fmt.Errorf("journal: a note has %d bytes; %d are the limit", len(body), MaxNote)
	}
	f := &l.filling
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refused(); err != nil {
		return err
	}
	m := l.pool.get(headerSize + len(body) + 8*l.o.Partitions + Slack)
	m.buf = m.buf[:headerSize]
	m.head = header{}
	m.firsts = make([]uint64, l.o.Partitions)
	for p := range m.firsts {
		l.seal(p)
		m.firsts[p] = f.next[p]
		f.next[p]++
	}
	m.block.Kind, m.block.Time = kind, timeUS
	m.encodeControl(l.pool, body)
	f.sealed = append(f.sealed, m)
	f.pending += len(m.buf)
	f.waiting += len(m.buf)
	return nil
}

func (l *disk) Pending() int {
	l.filling.mu.Lock()
	defer l.filling.mu.Unlock()
	return l.filling.pending
}

// take makes a group of everything appended so far; nil when that is nothing.
func (l *disk) take() *group {
	f := &l.filling
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.open {
		l.seal(p)
	}
	if len(f.sealed) == 0 && len(f.marks) == 0 && len(f.dones) == 0 {
		return nil
	}
	g := &group{blocks: f.sealed, marks: f.marks, dones: f.dones, bytes: f.waiting}
	f.sealed, f.marks, f.dones, f.waiting = nil, map[string]uint64{}, nil, 0
	return g
}
