package window

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// noticesTicks tells whether rows may go out alone, which depends on the latest tick.
func (p *program) noticesTicks() bool { return p.late == side || p.kind == session }

// over is the end of the windows whose rows may be late by now, and go out one by one. Of sessions it is behind the moment whose rows
// may be near a session that has ended.
func (s *parts) over() int64 {
	if s.tick == nil || s.tick.I64(0)[0] == flow.NoMark {
		return math.MinInt64
	}
	t := s.tick.I64(0)[0] - s.grace
	if s.kind == session {
		return t + 1
	}
	return t - mod(t-s.offset, s.every)
}

// sendLone emits the rows that are parts by themselves.
func (s *parts) sendLone(out flow.Emitter) error {
	for rest := s.lone; len(rest) > 0; rest = rest[min(len(rest), emitRows):] {
		some := rest[:min(len(rest), emitRows)]
		list, groups := make([]uint32, len(some)), make([]uint32, len(some))
		for k, i := range some {
			g, t := s.laneNos[i], int64(s.times[i])
			s.key = append(binary.LittleEndian.AppendUint32(s.key[:0], uint32(k)), "alone"...)
			p, _, err := s.panes.Slot(s.key)
			if err != nil {
				return s.explain(err)
			}
			copy(s.cells(p), s.template)
			c := s.cells(p)[:s.meta]
			c[partRows], c[paneReceived] = 1, int64(flow.Received(s.rows)[i])
			if s.kind == session {
				c[paneStart], c[partLatest] = t, t
			} else {
				c[paneStart] = t - mod(t-s.offset, s.every)
			}
			list[k], groups[k], s.idx[i] = p, g, p
		}
		cells := s.panes.I64(0)
		for a := range s.accs {
			for _, i := range some {
				s.accumulate(a, cells, int(i), int(i)+1)
			}
		}
		if s.sketched {
			for _, p := range list {
				s.rest(p, false)
			}
		}
		out.Emit(s.emitParts(list, groups, s.tick.I64(0)[0], some))
		for _, p := range list {
			s.panes.Delete(p)
		}
	}
	return nil
}

// textsOf makes the column of texts, of nulls but for rows that are parts by themselves.
func (s *parts) textsOf(lone []int32, n int) arrow.Array {
	texts := make([][]byte, n)
	if len(lone) > 0 && (s.text == nil || !s.was.Equal(s.rows.Schema())) {
		s.text, s.was = flow.NewJSONEncoder(s.rows.Schema(), false), s.rows.Schema()
	}
	for k, i := range lone {
		texts[k] = s.text.AppendRow(nil, s.rows, int(i))
	}
	return stage.Texts(texts, s.o.Alloc)
}
