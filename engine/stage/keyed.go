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
	one := config.Article(what)
	title := "A" + one[1:]
	found := fmt.Sprintf("The rows of channel.%s are spread over %d partitions by %s", ch.Name, ch.Partitions, ch.Key)
	if key == "" {
		return false, append(diags, config.Errorf(where, title+" without the channel's key",
			"%s, and %s no longer has that column, so that %s here would see a part of its rows. Keep %s in the stages before, or give the channel partitions = 1.",
			found, at.Inputs[0], one, ch.Key)...)
	}
	return false, append(diags, config.Errorf(where, title+" without the channel's key",
		"%s, so that %s by other columns would see a part of its rows. Write by = [%s], or give the channel partitions = 1 or no key.",
		found, one, strings.Join(names, ", "))...)
}

// Keys turns the columns of `by` into keys of a table and back. One string is
// its own key, and several values are encoded by flow.AppendKey.
type Keys struct {
	By  []Column
	buf []byte
}

// Fit returns rows without those whose keys t does not take, and refuses these: a key that is longer than a table takes, or one more than there is room
// for, costs its row, and not the run. The others have slots then, so that Intern finds them all; without a table only lengths are looked at. Mostly these are all rows.
// The caller releases what it gets, and rows as before. Which rows are refused does not depend on how they were cut into batches.
func (k *Keys) Fit(rows arrow.RecordBatch, t *state.Table, alloc memory.Allocator, refuse func(row int, reason string)) arrow.RecordBatch {
	n := int(rows.NumRows())
	cols := k.eval(rows, alloc)
	defer release(cols)
	const head = 9 // bytes of a value in a key beside its text, at most
	texts := 0
	for _, c := range cols {
		if s, ok := c.(*array.String); ok {
			texts += len(s.ValueBytes())
		}
	}
	short := texts+head*len(cols) <= state.MaxKeyBytes // all of them together are short enough
	if short && (t == nil || n <= t.Room()) {
		rows.Retain()
		return rows
	}
	fit := make([]int32, 0, n)
	for i := range n {
		bytes := 0
		if !short {
			bytes = k.size(cols, i)
		}
		switch {
		case bytes > state.MaxKeyBytes:
			refuse(i, state.LongKey(bytes))
			continue
		case t != nil:
			if _, _, err := t.Slot(k.key(cols, i)); err != nil {
				refuse(i, k.tooMany(t))
				continue
			}
		}
		fit = append(fit, int32(i))
	}
	if len(fit) == n {
		rows.Retain()
		return rows
	}
	return flow.Take(rows, fit, alloc)
}

// FitOrReject is Fit for a stage that has nothing else to do about rows that are refused.
func (k *Keys) FitOrReject(rows arrow.RecordBatch, t *state.Table, o *Opening) arrow.RecordBatch {
	return k.Fit(rows, t, o.Alloc, func(row int, reason string) { o.Reject(Reject{Rows: rows, Row: row, Reason: reason}) })
}

// tooMany is the reason for which a row is refused whose key there is no room for.
func (k *Keys) tooMany(t *state.Table) string {
	return fmt.Sprintf("too many keys: there are %d keys (by %s) in its partition already; fewer columns in by, or a larger max_keys help", t.Len(), strings.Join(Names(k.By), ", "))
}

// MaxKeys is how many keys a table may hold in a partition of the channel, nil for any: at least as many as a channel has that does not say how many.
func MaxKeys(ch *config.Channel) int {
	if ch == nil {
		return state.DefaultMaxKeys
	}
	return max(state.DefaultMaxKeys, ch.MaxKeys)
}

// eval computes the columns of `by`. The caller releases them.
func (k *Keys) eval(rows arrow.RecordBatch, alloc memory.Allocator) []arrow.Array {
	cols := make([]arrow.Array, len(k.By))
	for i, c := range k.By {
		cols[i] = c.Prog.Eval(rows, alloc)
	}
	return cols
}

func release(cols []arrow.Array) {
	for _, c := range cols {
		c.Release()
	}
}

// text is the column of a key that is one string, which is its own key; nil where keys are made of values.
func text(cols []arrow.Array) *array.String {
	if len(cols) != 1 {
		return nil
	}
	s, _ := cols[0].(*array.String)
	return s
}

// size is how long the key of row i is, bytes.
func (k *Keys) size(cols []arrow.Array, i int) (n int) {
	if s := text(cols); s != nil {
		return s.ValueLen(i)
	}
	for _, c := range cols {
		n += flow.KeySize(c, i)
	}
	return n
}

// key is the key of row i, which the next one overwrites; nil is null.
func (k *Keys) key(cols []arrow.Array, i int) []byte {
	if k.buf == nil {
		k.buf = []byte{}
	}
	k.buf = k.buf[:0]
	if s := text(cols); s != nil {
		if s.IsNull(i) {
			return nil
		}
		k.buf = append(k.buf, s.Value(i)...)
		return k.buf
	}
	for _, c := range cols {
		k.buf = flow.AppendKey(k.buf, c, i)
	}
	return k.buf
}

// Intern finds or makes the slot of each row; the result has out's memory if it fits.
func (k *Keys) Intern(rows arrow.RecordBatch, alloc memory.Allocator, t *state.Table, out []uint32) ([]uint32, error) {
	n := int(rows.NumRows())
	if cap(out) < n {
		out = make([]uint32, n)
	}
	out = out[:n]
	cols := k.eval(rows, alloc)
	defer release(cols)
	if s := text(cols); s != nil {
		return out, t.InternStrings(s, out)
	}
	for i := range n {
		slot, _, err := t.Slot(k.key(cols, i))
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
