package join

import "github.com/tidemill/tidemill/engine/carry"

// pair is a row that goes out. Pairs are gathered as numbers, and made into columns many at a time: until
// then rows that are let go of stay where they are (interval.dead).
type pair struct {
	row    int32  // of the batch at hand; -1: none, the other is a row that found no partner
	other  uint32 // the row that waited, plus one; 0: the row at hand found no partner
	number int32  // of the pairs that a row makes
	mark   int64
}

// gathered is after how many pairs, or rows let go of, columns are made.
const gathered = 8192

// flushFull is flush once there is much to send.
func (j *interval) flushFull() {
	if len(j.pairs) >= gathered || len(j.dead) >= gathered {
		j.flush()
	}
}

// flush sends out what was gathered and deletes the rows that were let go of.
func (j *interval) flush() {
	if len(j.pairs) > 0 {
		n := len(j.pairs)
		j.place(j.meta.Make(n))
		for in := range 2 {
			j.gather(in)
		}
		j.emitter.Emit(j.meta.Rows(j.out, append(carry.Finish(j.outs[0]), carry.Finish(j.outs[1])...)))
		j.pairs = j.pairs[:0]
	}
	for _, r := range j.dead {
		j.rows.Delete(r)
	}
	j.dead = j.dead[:0]
}

// place fills in where pairs stand in time and in their channel.
func (j *interval) place(m carry.MetaSlices) {
	for k := range j.pairs {
		p := &j.pairs[k]
		m.Mark[k] = p.mark
		if p.row < 0 {
			w := j.wordsOf(p.other - 1)
			m.Offset[k], m.Index[k], m.Received[k], m.Time[k] = w[rowOffset], int32(w[rowIndex])*perRow+p.number, w[rowReceived], w[rowTime]
			m.Slot[k] = j.rowLinks(p.other - 1)[rowSlot]
			continue
		}
		i := p.row
		received, time := int64(j.received[i]), int64(j.times[i])
		if p.other > 0 {
			w := j.wordsOf(p.other - 1)
			if received = max(received, w[rowReceived]); j.in == 1 {
				time = w[rowTime]
			}
		}
		m.Offset[k], m.Index[k], m.Received[k], m.Time[k], m.Slot[k] = j.offsets[i], j.indexes[i]*perRow+p.number, received, time, j.slots[i]
	}
}

// gather fills the columns of one input: from the batch at hand if that is the input's, or else from rows that waited.
func (j *interval) gather(in int) {
	l, own := &j.layouts[in], in == j.in
	texts := j.texts[:0]
	for c, col := range j.outs[in] {
		switch {
		case own && !j.left:
			j.cols[c].gather(col, j.pairs)
		case l.keys[c] > 0:
			j.keys[l.keys[c]-1].gather(col, j.pairs)
		case l.words[c] == 0:
			texts = append(texts, c)
		case own || l.isBool(c):
			j.gatherOne(in, c, col)
		default:
			j.gatherWords(in, c, col)
		}
	}
	if len(texts) > 0 {
		j.gatherTexts(in, texts)
	}
	j.texts = texts
}

// waited tells whether a pair's row of an input is one that waited; if it is not at hand either, there is none.
func (j *interval) waited(in int, p *pair) bool {
	if p.row < 0 {
		return in == 0
	}
	return in != j.in && p.other > 0
}

// gatherOne fills a column that is in words, value by value.
func (j *interval) gatherOne(in, c int, col *carry.Column) {
	l := &j.layouts[in]
	for k := range j.pairs {
		p := &j.pairs[k]
		switch {
		case j.waited(in, p):
			l.value(c, j.wordsOf(p.other-1), col)
		case in == j.in && p.row >= 0:
			j.cols[c].to(col, int(p.row))
		default:
			col.Null()
		}
	}
}

// gatherWords fills a column of values of eight bytes of the input that is not at hand.
func (j *interval) gatherWords(in, c int, col *carry.Column) {
	l := &j.layouts[in]
	at, null, bit := l.words[c], l.nulls+c>>6, int64(1)<<(c&63)
	words, width := j.rows.I64(0), j.words
	fixed, valid := col.Words(len(j.pairs))
	nulls := 0
	for k := range j.pairs {
		p := &j.pairs[k]
		if !j.waited(in, p) {
			nulls++
			continue
		}
		row := words[int(p.other-1)*width:][:width]
		if row[null]&bit != 0 {
			nulls++
			continue
		}
		fixed[k] = uint64(row[at])
		valid[k>>3] |= 1 << (k & 7)
	}
	col.Nulls(nulls)
}

// gatherTexts fills the columns that stand in byte strings, a row at a time.
func (j *interval) gatherTexts(in int, texts []int) {
	for k := range j.pairs {
		p := &j.pairs[k]
		switch {
		case j.waited(in, p):
			data := j.rows.Bytes(2, p.other-1)
			for _, c := range texts {
				data = carry.ReadValue(data, j.outs[in][c])
			}
			if len(data) > 0 {
				panic("BUG: a row that waits has more values than columns")
			}
		case in == j.in && p.row >= 0:
			for _, c := range texts {
				j.cols[c].to(j.outs[in][c], int(p.row))
			}
		default:
			for _, c := range texts {
				j.outs[in][c].Null()
			}
		}
	}
}
