package run

import (
	"slices"
	"strings"
	"sync"
)

// asked are the labels that somebody waits for: what they do is known where they stand in the journal, by the
// partition that has their key.
type asked struct {
	lock sync.Mutex
	open []*question
}

// question is one label and what partitions have said of it. Its last three fields are to be read once done is closed.
type question struct {
	body, stage string
	said        []bool // by partition
	done        chan struct{}
	known       bool
	near        string // of keys that are like the one that nobody has, the first by its letters
}

// ask begins to wait for a label that is about to be put into the journal.
func (a *asked) ask(body, stage string, partitions int) *question {
	q := &question{body: body, stage: stage, said: make([]bool, partitions), done: make(chan struct{})}
	a.lock.Lock()
	defer a.lock.Unlock()
	a.open = append(a.open, q)
	return q
}

// leave ends the waiting.
func (a *asked) leave(q *question) {
	a.lock.Lock()
	defer a.lock.Unlock()
	if i := slices.Index(a.open, q); i >= 0 {
		a.open = slices.Delete(a.open, i, i+1)
	}
}

// answer says what a partition's stage did with a label. near is called only where somebody wants to know. Equal labels
// that wait beside one another are answered by the same record, which does the same; a partition may speak of the earlier first.
func (a *asked) answer(body string, partition int, known bool, near func() string) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.open = slices.DeleteFunc(a.open, func(q *question) bool {
		if q.body != body || partition >= len(q.said) {
			return false
		}
		q.said[partition] = true
		if q.known = known; !known {
			if n := near(); n != "" && (q.near == "" || strings.Compare(n, q.near) < 0) {
				q.near = n
			}
			if slices.Contains(q.said, false) {
				return false
			}
		}
		close(q.done)
		return true
	})
}
