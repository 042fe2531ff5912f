package plan

import (
	"fmt"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/engine/decode"
)

// again holds what With has given, for whoever runs one engine after another over the same plan.
type again struct {
	mu           sync.Mutex
	on           bool
	given, spare map[string][]*Plan // by whom it was bound for
}

// Again says that nothing runs any more that came of the plan: it may be opened once more, and what With has
// given it may give again. Before the first call nothing is kept for that.
func (p *Plan) Again() {
	a := &p.again
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.on {
		a.on, a.given, a.spare = true, map[string][]*Plan{}, map[string][]*Plan{}
	}
	for key, plans := range a.given {
		a.spare[key] = append(a.spare[key], plans...)
		delete(a.given, key)
	}
}

// take returns a plan that was bound for that before and is not in use, or nil.
func (a *again) take(key string) *Plan {
	a.mu.Lock()
	defer a.mu.Unlock()
	have := a.spare[key]
	if len(have) == 0 {
		return nil
	}
	p := have[len(have)-1]
	a.spare[key] = have[:len(have)-1]
	a.given[key] = append(a.given[key], p)
	return p
}

func (a *again) give(key string, p *Plan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on {
		a.given[key] = append(a.given[key], p)
	}
}

// keyOf names what a plan is bound for.
func (p *Plan) keyOf(channel string, learned []decode.Field) string {
	ch := p.Channel(channel)
	if !p.again.on || ch == nil || !ch.Config.Learn {
		return channel
	}
	var b strings.Builder
	b.WriteString(channel)
	for _, f := range learned {
		fmt.Fprintf(&b, " %q %s %q %t %t", f.Name, f.Type, f.Unit, f.Topic, f.Property)
	}
	return b.String()
}
