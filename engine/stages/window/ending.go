package window

import (
	"container/heap"
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// ending is what is left of a sliding window's groups at the end of input. Windows go out in order of their ends and
// then of group, though none is known before the one of its group that ends before it has gone out:
//
//	ends   | 10:05 | 10:06 | 11:40 |        a heap
//	at     10:05: groups 0 1 2 5            whose next window ends then
//	       10:06: groups 3
//
// A group whose window has gone out moves to the end of its next one. So there is one place a group, and not one a window.
type ending struct {
	ends   moments
	at     map[int64][]uint32
	of     []coming // by group
	groups []uint32 // those whose windows go out now
	spare  []uint32 // room for others
}

// moments is a heap of times.
type moments []int64

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i] < m[j] }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(int64)) }
func (m *moments) Pop() any {
	old := *m
	x := old[len(old)-1]
	*m = old[:len(old)-1]
	return x
}

// put notes where a group's windows have come to.
func (e *ending) put(g uint32, c coming) {
	e.of[g] = c
	list, ok := e.at[c.end]
	if !ok {
		heap.Push(&e.ends, c.end)
		list, e.spare = e.spare[:0], nil
	}
	e.at[c.end] = append(list, g)
}

// next takes the groups whose windows end first; false when there are none.
func (e *ending) next() bool {
	e.spare, e.groups = e.groups, nil
	if len(e.ends) == 0 {
		return false
	}
	end := heap.Pop(&e.ends).(int64)
	e.groups = e.at[end]
	delete(e.at, end)
	slices.Sort(e.groups)
	return true
}

// reviseAtEnd emits again what late rows changed of a group, and looks which of its windows is the first that is open.
func (w *window) reviseAtEnd(g uint32) {
	w.leaveRing(g)
	times := w.groupTimes(g)
	if times[groupDirty] != flow.NoMark {
		w.settleSliding(g, times[groupSettled], true)
		times = w.groupTimes(g)
	}
	if c, ok := w.opening(g, times[groupSettled]); ok {
		w.ending.put(g, c)
	}
	times[groupDirty], times[groupNext] = flow.NoMark, flow.EndMark
	w.groups.Touch(g)
}

// endWindow emits the first open window of a group.
func (w *window) endWindow(g uint32) {
	c := w.ending.of[g]
	w.enqueueAt(g, c)
	if next, ok := w.following(c); ok {
		w.ending.put(g, next)
	}
	times := w.groupTimes(g)
	times[groupSettled] = max(times[groupSettled], c.end+w.grace)
	w.groups.Touch(g)
	w.stale = append(w.stale, g)
}
