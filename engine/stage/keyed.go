package stage

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
)

// CheckBy checks the argument `by` of a stage that keeps state by key. what is
// the kind of stage. hasKey says that the channel's key is among the columns,
// so that all rows of a group have one _slot. Where it is not, all rows must be
// in one partition: they are, or At.Regroup is asked.
func CheckBy(by []Column, x hcl.Expression, at At, what string) (hasKey bool, diags hcl.Diagnostics) {
	key := at.Keys[0]
	names := []string{key}
	for _, c := range by {
		switch {
		case strings.HasPrefix(c.Name, "_"):
			diags = append(diags, config.Errorf(c.At, "Not a key", "by takes columns of the rows; %s belongs to the engine.", c.Name)...)
		case !flow.KeyType(c.Type):
			diags = append(diags, config.Errorf(c.At, "Not a key", "by takes columns with one value a row; %s is a %s.", c.Name, expr.TypeName(c.Type))...)
		}
		hasKey = hasKey || c.Name == key && key != ""
		names = append(names, c.Name)
	}
	ch := at.Channel
	if hasKey || ch.Key == "" || ch.Partitions == 1 {
		return hasKey, diags
	}
	if at.Regroup != nil && !diags.HasErrors() {
		at.Regroup(Names(by))
		return false, diags
	}
	where := at.Range
	if !config.Absent(x) {
		where = x.Range()
	}
	title := "An " + what
	if !strings.ContainsRune("aeiou", rune(what[0])) {
		title = "A " + what
	}
	found := fmt.Sprintf("The rows of channel.%s are spread over %d partitions by %s", ch.Name, ch.Partitions, ch.Key)
	if key == "" {
		return false, append(diags, config.Errorf(where, title+" without the channel's key",
			"%s, and %s no longer has that column, so that %s here would see a part of its rows. Keep %s in the stages before, or give the channel partitions = 1.",
			found, at.Inputs[0], strings.ToLower(title), ch.Key)...)
	}
	return false, append(diags, config.Errorf(where, title+" without the channel's key",
		"%s, so that %s by other columns would see a part of its rows. Write by = [%s], or give the channel partitions = 1 or no key.",
		found, strings.ToLower(title), strings.Join(names, ", "))...)
}

// Keys turns the columns of `by` into keys of a table and back. One string is
// its own key, and several values are encoded by flow.AppendKey.
type Keys struct {
	By  []Column
	buf []byte
}

// Short returns rows without those whose keys are longer than a table takes, which it rejects: a name of a hundred thousand letters costs its row, and
// not the run. Mostly these are all rows. The caller releases what it gets, and rows as before.
func (k *Keys) Short(rows arrow.RecordBatch, o *Opening) arrow.RecordBatch {
	n := int(rows.NumRows())
	cols := make([]arrow.Array, len(k.By))
	for i, c := range k.By {
		cols[i] = c.Prog.Eval(rows, o.Alloc)
		defer cols[i].Release()
	}
	size := func(row int) (n int) {
		if len(cols) == 1 {
			if s, ok := cols[0].(*array.String); ok {
				return s.ValueLen(row)
			}
		}
		for _, c := range cols {
			n += flow.KeySize(c, row)
		}
		return n
	}
	const head = 9 // bytes of a value in a key beside its text, at most
	texts := 0
	for _, c := range cols {
		if s, ok := c.(*array.String); ok {
			texts += len(s.ValueBytes())
		}
	}
	first := 0
	if texts+head*len(cols) <= state.MaxKeyBytes {
		first = n // all of them together are short enough
	}
	for first < n && size(first) <= state.MaxKeyBytes {
		first++
	}
	if first == n {
		rows.Retain()
		return rows
	}
	var short []int32
	for i := range n {
		if bytes := size(i); bytes > state.MaxKeyBytes {
			o.Reject(Reject{Rows: rows, Row: i, Reason: state.LongKey(bytes)})
			continue
		}
		short = append(short, int32(i))
	}
	return flow.Take(rows, short, o.Alloc)
}

// Intern finds or makes the slot of each row; the result has out's memory if it fits.
func (k *Keys) Intern(rows arrow.RecordBatch, alloc memory.Allocator, t *state.Table, out []uint32) ([]uint32, error) {
	n := int(rows.NumRows())
	if cap(out) < n {
		out = make([]uint32, n)
	}
	out = out[:n]
	cols := make([]arrow.Array, len(k.By))
	for i, c := range k.By {
		cols[i] = c.Prog.Eval(rows, alloc)
		defer cols[i].Release()
	}
	if len(cols) == 1 {
		if s, ok := cols[0].(*array.String); ok {
			return out, t.InternStrings(s, out)
		}
	}
	if k.buf == nil {
		k.buf = []byte{}
	}
	for i := range n {
		k.buf = k.buf[:0]
		for _, c := range cols {
			k.buf = flow.AppendKey(k.buf, c, i)
		}
		slot, _, err := t.Slot(k.buf)
		if err != nil {
			return out, err
		}
		out[i] = slot
	}
	return out, nil
}

// Columns gives the keys of slots back as columns, which the caller releases.
func (k *Keys) Columns(t *state.Table, slots []uint32, alloc memory.Allocator) []arrow.Array {
	if len(k.By) == 1 && k.By[0].Type.ID() == arrow.STRING {
		return []arrow.Array{t.Texts(slots, alloc)}
	}
	keys, types := make([][]byte, len(slots)), make([]arrow.DataType, len(k.By))
	for i, s := range slots {
		keys[i] = t.Key(s)
	}
	for i, c := range k.By {
		types[i] = c.Type
	}
	cols, err := flow.KeyColumns(keys, types, func(t arrow.DataType) array.Builder { return array.NewBuilder(alloc, t) })
	if err != nil {
		panic(fmt.Sprintf("BUG: a table holds a key that is none: %v", err))
	}
	return cols
}

// Texts makes a column of strings; nil is null. The caller releases it.
func Texts(values [][]byte, alloc memory.Allocator) arrow.Array {
	b := array.NewStringBuilder(alloc)
	defer b.Release()
	total := 0
	for _, v := range values {
		total += len(v)
	}
	b.Reserve(len(values))
	b.ReserveData(total)
	for _, v := range values {
		if v == nil {
			b.AppendNull()
		} else {
			b.BinaryBuilder.Append(v)
		}
	}
	return b.NewArray()
}

// SlotIndex lists the groups that belong to each _slot. It follows from a
// table that has the _slot of each group, and is filled anew when a stage opens.
type SlotIndex struct{ head, next []uint32 } // plus one; 0 ends a list

// Add puts a group on the list of a slot. A group is added once.
func (x *SlotIndex) Add(slot, group uint32) {
	x.head, x.next = longer(x.head, slot), longer(x.next, group)
	x.next[group], x.head[slot] = x.head[slot], group+1
}

// Remove takes a group from the list of a slot.
func (x *SlotIndex) Remove(slot, group uint32) {
	at := &x.head[slot]
	for *at != group+1 {
		at = &x.next[*at-1]
	}
	*at = x.next[group]
}

// First returns the group that was added last to a slot; false: there is none yet.
func (x *SlotIndex) First(slot uint32) (group uint32, ok bool) {
	if int(slot) >= len(x.head) || x.head[slot] == 0 {
		return 0, false
	}
	return x.head[slot] - 1, true
}

// Next returns the group that was added to the same slot before this one; false: there is none.
func (x *SlotIndex) Next(group uint32) (before uint32, ok bool) {
	at := x.next[group]
	return at - 1, at != 0
}

// Each calls f for every group of a slot.
func (x *SlotIndex) Each(slot uint32, f func(group uint32)) {
	if int(slot) >= len(x.head) {
		return
	}
	for at := x.head[slot]; at != 0; at = x.next[at-1] {
		f(at - 1)
	}
}

func longer(s []uint32, at uint32) []uint32 {
	if int(at) < len(s) {
		return s
	}
	return append(s, make([]uint32, int(at)+1-len(s)+len(s)/2)...)
}
