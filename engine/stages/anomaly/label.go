package anomaly

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

var _ stage.Labelled = (*anomaly)(nil)

// Label moves the threshold of a key's model.
func (a *anomaly) Label(key []string, fault bool) (known bool) {
	encoded, ok := a.encode(key)
	if !ok {
		return false
	}
	slot, found := a.table.Find(encoded)
	if !found {
		return false
	}
	a.d.Label(a.m.model(slot), fault)
	a.m.write(slot)
	return true
}

// mostNear is how many keys are looked through for one that is like another.
const mostNear = 10_000

// Near is a key of those that there are that is like this one.
func (a *anomaly) Near(key []string) string {
	var names []string
	for slot := range uint32(min(a.table.Slots(), mostNear)) {
		if !a.table.Live(slot) {
			continue
		}
		names = append(names, a.named(slot, ","))
	}
	return config.Nearest(strings.Join(key, ","), names)
}

// named is the key of a slot for a person.
func (a *anomaly) named(slot uint32, between string) string {
	var parts []string
	for _, c := range a.keys.Columns(a.table, []uint32{slot}, a.o.Alloc) {
		parts = append(parts, strings.Clone(c.ValueStr(0)))
		c.Release()
	}
	return strings.Join(parts, between)
}

// encode is a key as the table has it; false where a text does not fit its column.
func (a *anomaly) encode(key []string) ([]byte, bool) {
	if len(key) != len(a.by) {
		return nil, false
	}
	if len(key) == 1 && a.by[0].Type.ID() == arrow.STRING {
		return []byte(key[0]), true
	}
	out := []byte{}
	for i, text := range key {
		b := array.NewBuilder(a.o.Alloc, a.by[i].Type)
		err := b.AppendValueFromString(text)
		col := b.NewArray()
		if err == nil {
			out = flow.AppendKey(out, col, 0)
		}
		col.Release()
		b.Release()
		if err != nil {
			return nil, false
		}
	}
	return out, true
}
