package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func testDecl() Decl {
	return Decl{Name: "t", Digest: "d", Columns: []Column{{"a", F64, 0}, {"b", I64, 3}, {"c", U32, 1}, {"d", Bytes, 0}}}
}

// fingerprint writes down all that can be seen of a table.
func fingerprint(t *Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d\n", t.Len(), t.Slots())
	t.Range(func(s uint32) bool {
		key := t.Key(s)
		fmt.Fprintf(&b, "%d %q %v %v %v %v %q\n", s, key, key == nil, t.F64(0)[s], t.I64(1)[3*s:3*s+3], t.U32(2)[s], t.Bytes(3, s))
		if key != nil {
			if f, ok := t.Find(key); !ok || f != s {
				fmt.Fprintf(&b, "cannot be found\n")
			}
		}
		return true
	})
	return b.String()
}

func mustSlot(tb testing.TB, t *Table, key []byte) uint32 {
	tb.Helper()
	s, _, err := t.Slot(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// step does something at random to t and to the model, a map of what every key holds.
func step(t *testing.T, tab *Table, model map[string]float64, r *rand.Rand) {
	key := []byte(strings.Repeat(fmt.Sprint("k", r.IntN(300)), r.IntN(6)))
	switch op := r.IntN(10); {
	case op < 6:
		s := mustSlot(t, tab, key)
		v := r.Float64()
		tab.F64(0)[s], tab.I64(1)[3*s+2], tab.U32(2)[s] = v, int64(s), uint32(len(key))
		if r.IntN(3) == 0 {
			tab.SetBytes(3, s, key[:r.IntN(len(key)+1)])
		}
		tab.Touch(s)
		model[string(key)] = v
	case op == 6:
		mustSlot(t, tab, nil)
	case op == 7:
		s, err := tab.Anonymous()
		if err != nil {
			t.Fatal(err)
		}
		tab.I64(1)[3*s] = int64(r.IntN(100))
	default:
		if tab.Len() == 0 {
			return
		}
		n := r.IntN(tab.Len())
		tab.Range(func(s uint32) bool {
			if n--; n >= 0 {
				return true
			}
			if k := tab.Key(s); k != nil {
				delete(model, string(k))
			}
			tab.Delete(s)
			return false
		})
	}
}

// TestRestoreEqualsOriginal does random things, takes snapshots in between,
// sends them through their encoding, and compares the restored table with the
// original, then and after the same further steps.
func TestRestoreEqualsOriginal(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		tab, model := New(testDecl()), map[string]float64{}
		var chain []*Snapshot
		for range 1 + r.IntN(12) {
			for range r.IntN(150) {
				step(t, tab, model, r)
			}
			s := tab.Snapshot(r.IntN(4) == 0)
			back, err := DecodeSnapshot(s.AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			if back.Full() && r.IntN(2) == 0 {
				chain = nil
			}
			chain = append(chain, back)
			if r.IntN(5) == 0 {
				m, err := Merge(testDecl(), chain...)
				if err != nil {
					t.Fatal(err)
				}
				chain = []*Snapshot{m}
			}
		}
		for k, v := range model {
			if s, ok := tab.Find([]byte(k)); !ok || tab.F64(0)[s] != v {
				t.Fatalf("seed %d: key %q is not what was set", seed, k)
			}
		}
		again, err := Restore(testDecl(), chain...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if a, b := fingerprint(tab), fingerprint(again); a != b {
				t.Fatalf("seed %d, look %d: the restored table differs:\n%s\nwant\n%s", seed, i, b, a)
			}
			for j := range uint64(50) {
				step(t, tab, map[string]float64{}, rand.New(rand.NewPCG(seed, j)))
				step(t, again, map[string]float64{}, rand.New(rand.NewPCG(seed, j)))
			}
		}
	}
}

func TestDeltaHoldsOnlyChanges(t *testing.T) {
	tab := New(testDecl())
	for i := range 1000 {
		mustSlot(t, tab, fmt.Appendf(nil, "key%d", i))
	}
	tab.Snapshot(false)
	tab.Touch(7)
	tab.SetBytes(3, 9, []byte("x"))
	tab.Delete(500)
	if s := tab.Snapshot(false); s.Len() != 3 || s.Full() {
		t.Fatalf("the delta tells about %d slots, want 3", s.Len())
	}
	if s := tab.Snapshot(false); s.Len() != 0 {
		t.Fatalf("a delta without changes tells about %d slots", s.Len())
	}
	if s := tab.Snapshot(true); s.Len() != 999 {
		t.Fatalf("the base tells about %d slots, want 999", s.Len())
	}
}

func TestLimitsAndReuse(t *testing.T) {
	d := testDecl()
	d.MaxKeys = 3
	tab := New(d)
	for _, k := range []string{"", "a", "b"} {
		mustSlot(t, tab, []byte(k))
	}
	for _, k := range [][]byte{[]byte("c"), nil} {
		if _, _, err := tab.Slot(k); err == nil || !strings.Contains(err.Error(), "table t is full: it holds 3 keys") {
			t.Fatalf("a fourth key gave %v", err)
		}
	}
	tab.F64(0)[1] = 5
	tab.Delete(2)
	tab.Delete(1)
	if s := mustSlot(t, tab, nil); s != 1 || tab.F64(0)[1] != 0 || tab.Key(1) != nil {
		t.Fatalf("the null key took slot %d with value %v, want 1 and 0", s, tab.F64(0)[1])
	}
	if k := tab.Key(0); k == nil || len(k) != 0 {
		t.Fatalf("the empty key is %v", k)
	}
	if _, _, err := tab.Slot(make([]byte, maxKeyBytes+1)); err == nil || !strings.Contains(err.Error(), "65537 bytes") {
		t.Fatalf("a long key gave %v", err)
	}
}

// TestKeysComeAndGo makes the arena of keys shrink and looks for every key after.
func TestKeysComeAndGo(t *testing.T) {
	tab := New(testDecl())
	key := func(i int) []byte { return fmt.Appendf(nil, "a rather long key of device number %d", i) }
	for round := range 20 {
		for i := range 3000 {
			mustSlot(t, tab, key(round*1000+i))
		}
		for i := range 1000 {
			s, ok := tab.Find(key(round*1000 + i))
			if !ok {
				t.Fatalf("key %d is lost in round %d", i, round)
			}
			tab.Delete(s)
		}
		for i := range 2000 {
			k := key(round*1000 + 1000 + i)
			if s, ok := tab.Find(k); !ok || string(tab.Key(s)) != string(k) {
				t.Fatalf("key %q is lost in round %d", k, round)
			}
		}
	}
	if tab.Slots() != 3000 || len(tab.arena) > 500_000 {
		t.Fatalf("%d slots and an arena of %d bytes for 2,000 keys", tab.Slots(), len(tab.arena))
	}
}

func TestInternStrings(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues([]string{"zz", "x", "", "y", "x", "", "a key of more than sixteen bytes", "y"},
		[]bool{true, true, true, true, true, false, true, true})
	a := b.NewStringArray()
	tab := New(testDecl())
	out := make([]uint32, 7)
	if err := tab.InternStrings(array.NewSlice(a, 1, 8).(*array.String), out); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(out); got != "[0 1 2 0 3 4 2]" {
		t.Fatalf("slots %s", got)
	}
	if s, ok := tab.Find(nil); !ok || s != 3 {
		t.Fatalf("the null key has slot %d, want 3", s)
	}
}

// TestInternStringsAlike: keys that a reference holds alike, but for their length, are not taken for one another where they meet in a cell.
func TestInternStringsAlike(t *testing.T) {
	for c := rune(' '); c <= '~'; c++ {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for n := range 18 {
			b.Append(strings.Repeat(string(c), 8+n%9))
		}
		tab, out := New(testDecl()), make([]uint32, 18)
		a := b.NewStringArray()
		for range 2 { // new, and known
			if err := tab.InternStrings(a, out); err != nil {
				t.Fatal(err)
			}
			for i, slot := range out {
				if string(tab.Key(slot)) != a.Value(i) {
					t.Fatalf("%q got the slot of %q", a.Value(i), tab.Key(slot))
				}
			}
		}
	}
}

// TestInternStringsIsSlot: keys that are looked for together get the slots that they get one after the other, new ones between
// known ones included, and so does the table what it has to.
func TestInternStringsIsSlot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tab, one := New(testDecl()), New(testDecl())
	for round := range 60 {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		rows, keys := r.IntN(4*together), 1+r.IntN(2_000)
		values, valid := make([]string, rows), make([]bool, rows)
		for i := range values {
			values[i], valid[i] = fmt.Sprintf("%0*d", 1+r.IntN(20), r.IntN(keys)), round%3 != 0 || r.IntN(10) > 0
		}
		b.AppendValues(values, valid) // a null stands over a text
		from := r.IntN(rows + 1)
		a := array.NewSlice(b.NewStringArray(), int64(from), int64(rows)).(*array.String)
		out := make([]uint32, a.Len())
		if err := tab.InternStrings(a, out); err != nil {
			t.Fatal(err)
		}
		for i, slot := range out {
			var key []byte
			if !a.IsNull(i) {
				key = append([]byte{}, a.Value(i)...)
			}
			if want := mustSlot(t, one, key); slot != want {
				t.Fatalf("round %d, row %d of %d, key %q: slot %d, and %d when asked for alone", round, i, a.Len(), key, slot, want)
			}
		}
		for range tab.Len() / 50 { // so that slots are used again
			if slot := uint32(r.IntN(tab.Slots())); tab.Live(slot) {
				tab.Delete(slot)
				one.Delete(slot)
			}
		}
	}
	if a, b := fingerprint(tab), fingerprint(one); a != b {
		t.Fatalf("the tables differ:\n%s\n%s", a, b)
	}
}

func TestRestoreRefuses(t *testing.T) {
	tab := New(testDecl())
	mustSlot(t, tab, []byte("a"))
	s := tab.Snapshot(true)
	other, small := testDecl(), testDecl()
	other.Digest = "e"
	small.MaxKeys = 1
	mustSlot(t, tab, []byte("b"))
	twice := *s
	twice.full, twice.slots, twice.high = false, []uint32{1}, 2
	for name, try := range map[string]func() error{
		"of table t (d)":            func() error { _, err := Restore(other, s); return err },
		"it has 2 slots":            func() error { _, err := Restore(small, tab.Snapshot(true)); return err },
		"slots 0 and 1 have the sa": func() error { _, err := Restore(testDecl(), s, &twice); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	tab := New(testDecl())
	tab.SetBytes(3, mustSlot(t, tab, []byte("a")), []byte("value"))
	good := tab.Snapshot(true).AppendTo(nil)
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := DecodeSnapshot(bad); err == nil {
				t.Fatalf("bit %d of byte %d was flipped, and nobody noticed", bit, i)
			}
		}
		if _, err := DecodeSnapshot(good[:i]); err == nil {
			t.Fatalf("cut at %d, and nobody noticed", i)
		}
	}
}

func TestRowsShowTheTable(t *testing.T) {
	tab := New(testDecl())
	s := mustSlot(t, tab, []byte("a"))
	tab.F64(0)[s], tab.I64(1)[2] = 1.5, 9
	mustSlot(t, tab, nil)
	rows := tab.Snapshot(true).Rows()
	defer rows.Release()
	js, err := rows.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"a":1.5,"b":[0,0,9],"c":0,"d":"","key":"YQ==","slot":0,"state":"key"}
,{"a":0,"b":[0,0,0],"c":0,"d":"","key":"","slot":1,"state":"null key"}
]`
	if string(js) != want {
		t.Fatalf("got %s\nwant %s", js, want)
	}
}

// TestTexts: keys come back as they went in, also null, empty and long ones.
func TestTexts(t *testing.T) {
	tab := New(testDecl())
	var slots []uint32
	want := []any{nil, "", "a", "1234567", "12345678", "123456789", "1234567890123456", "12345678901234567", strings.Repeat("k", 300), nil}
	for i, k := range want {
		s, err := tab.Anonymous()
		if k != nil {
			tab.Delete(s)
			s = mustSlot(t, tab, []byte(k.(string)))
		} else if i == 0 {
			tab.Delete(s)
			s = mustSlot(t, tab, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
	}
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	got := tab.Texts(slots, mem).(*array.String)
	defer got.Release()
	for i, k := range want {
		if k == nil && got.IsValid(i) || k != nil && (got.IsNull(i) || got.Value(i) != k) {
			t.Errorf("slot %d of key %q: %q", slots[i], k, got.ValueStr(i))
		}
	}
}

// TestRawSlots: a slot without zero values has no byte strings of the one before, and its numbers are in a snapshot.
func TestRawSlots(t *testing.T) {
	tab := New(testDecl())
	s := mustSlot(t, tab, []byte("a"))
	tab.F64(0)[s] = 7
	tab.SetBytes(3, s, []byte("text"))
	tab.Delete(s)
	raw, err := tab.AnonymousRaw()
	if err != nil || raw != s || tab.F64(0)[s] != 7 || len(tab.Bytes(3, s)) > 0 || tab.Key(raw) != nil {
		t.Errorf("slot %d has %v and %q, %v", raw, tab.F64(0)[s], tab.Bytes(3, s), err)
	}
}
