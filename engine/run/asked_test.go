package run

import "testing"

// TestAsked: a label is answered by the partition that has its key, or by all that have not, each once; nobody looks for a
// near key where nobody asks.
func TestAsked(t *testing.T) {
	var a asked
	answer := func(partition int, known bool, near string) {
		a.answer("body", partition, known, func() string { return near })
	}
	ended := func(q *question) bool {
		select {
		case <-q.done:
			return true
		default:
			return false
		}
	}
	a.answer("body", 0, false, func() string { t.Error("a near key is looked for in vain"); return "" })
	known, other := a.ask("body", "s", 3), a.ask("other", "s", 3)
	answer(0, false, "t9")
	answer(0, false, "t9") // of a label before it
	if answer(2, true, ""); !ended(known) || !known.known || ended(other) {
		t.Errorf("%+v, %+v", known, other)
	}
	late := a.ask("body", "s", 3)
	answer(1, false, "") // of a label before the key's first row
	if answer(1, true, ""); !ended(late) || !late.known {
		t.Errorf("%+v", late)
	}
	unknown := a.ask("body", "s", 3)
	for _, p := range []int{2, 1, 2, 1} {
		answer(p, false, []string{"", "t3", "t2"}[p])
	}
	if ended(unknown) {
		t.Error("it was said of two partitions of three that none has the key")
	}
	if answer(0, false, ""); !ended(unknown) || unknown.known || unknown.near != "t2" {
		t.Errorf("%+v", unknown)
	}
	a.leave(unknown)
	if a.leave(other); len(a.open) != 0 {
		t.Errorf("%d questions are left", len(a.open))
	}
}
