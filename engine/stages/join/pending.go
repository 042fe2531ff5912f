package join

import (
	"cmp"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// pending holds rows of two inputs that come from one channel until the block that they stood
// in has passed both, so that they can be taken in the order in which they were received: otherwise
// the length of a block would decide what a row finds.
type pending struct {
	rows [2][]arrow.RecordBatch
}

func (p *pending) add(in int, rows arrow.RecordBatch) {
	rows.Retain()
	p.rows[in] = append(p.rows[in], rows)
}

// place is where a row stood in its channel.
type place struct {
	offset int64
	index  int32
}

func compare(a, b place) int {
	return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.index, b.index))
}

func placeOf(rows arrow.RecordBatch, i int) place {
	return place{flow.Offsets(rows)[i], flow.Indexes(rows)[i]}
}

// each gives f the rows in their order, those of the second input first where both inputs have the same row.
func (p *pending) each(f func(in int, rows arrow.RecordBatch) error) error {
	defer p.drop()
	var batch, row [2]int
	for {
		in, other := p.first(batch, row)
		if in < 0 {
			return nil
		}
		rows := p.rows[in][batch[in]]
		from, to := row[in], int(rows.NumRows())
		if batch[other] < len(p.rows[other]) {
			limit := placeOf(p.rows[other][batch[other]], row[other])
			for to = from + 1; to < int(rows.NumRows()); to++ {
				if c := compare(placeOf(rows, to), limit); c > 0 || c == 0 && in == 0 {
					break
				}
			}
		}
		part := rows.NewSlice(int64(from), int64(to))
		err := f(in, part)
		part.Release()
		if err != nil {
			return err
		}
		if row[in] = to; to == int(rows.NumRows()) {
			batch[in], row[in] = batch[in]+1, 0
		}
	}
}

// first says which input has the next row; -1: none.
func (p *pending) first(batch, row [2]int) (in, other int) {
	has := func(in int) bool { return batch[in] < len(p.rows[in]) }
	switch {
	case !has(0) && !has(1):
		return -1, 0
	case !has(1):
		return 0, 1
	case !has(0):
		return 1, 0
	}
	if compare(placeOf(p.rows[0][batch[0]], row[0]), placeOf(p.rows[1][batch[1]], row[1])) < 0 {
		return 0, 1
	}
	return 1, 0
}

func (p *pending) drop() {
	for in := range p.rows {
		for _, rows := range p.rows[in] {
			rows.Release()
		}
		p.rows[in] = p.rows[in][:0]
	}
}
