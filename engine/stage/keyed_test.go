package stage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
)

// TestFit: which rows have keys that a table takes, for tables with room for 1 to 5 keys, and however rows were cut into batches.
func TestFit(t *testing.T) {
	long := strings.Repeat("x", state.MaxKeyBytes)
	for _, c := range []struct{ by, rows string }{
		{"[a]", "x\ny\nx\n-\nz\n-\n"},
		{"[a]", long + "\n" + long + "y\nx\n" + long + "\n"},
		{"[a, n]", "x 1\nx 2\nx -\n- -\nx 2\nx -\n"},
		{"[a, n]", "x 1\n" + long + " 1\nx 2\n"},
	} {
		for room := 1; room <= 5; room++ {
			want := ""
			for cut := 1; cut <= 6; cut++ {
				got := fitIn(t, c.by, c.rows, room, cut)
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%s, room for %d, batches of %d: %s, want %s", c.by, room, cut, got, want)
				}
			}
			known, taken := map[string]bool{}, "" // the rule, told once more
			for i, row := range strings.Split(strings.TrimSpace(c.rows), "\n") {
				switch {
				case len(row) > state.MaxKeyBytes || c.by != "[a]" && len(row) > state.MaxKeyBytes-20:
					taken += "long "
				case !known[row] && len(known) == room:
					taken += "many "
				default:
					known[row] = true
					taken += fmt.Sprintf("%d ", i)
				}
			}
			if want != taken {
				t.Errorf("%s, room for %d: %s, want %s", c.by, room, want, taken)
			}
		}
	}
}

// fitIn tells what becomes of each row: its number, or why it does not fit.
func fitIn(t *testing.T, by, lines string, room, cut int) string {
	t.Helper()
	header := "_offset a:string n:integer\n"
	if by == "[a]" {
		header = "_offset a:string\n"
	}
	var k Keys
	table, out := state.New(state.Decl{Name: "keys", MaxKeys: room}), []string{}
	all := strings.Split(strings.TrimSpace(lines), "\n")
	for from := 0; from < len(all); from += cut {
		text := header
		for i := from; i < min(len(all), from+cut); i++ {
			text += fmt.Sprintf("%d %s\n", i, all[i])
		}
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		rows, err := flow.ParseRows(mem, text)
		if err != nil {
			t.Fatal(err)
		}
		cols, diags := Columns(parse(t, by), "by", &expr.Scope{Schema: rows.Schema()})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		k.By = cols
		out = append(out, fitBatch(t, &k, rows, table, mem)...)
		rows.Release()
		mem.AssertSize(t, 0)
	}
	return strings.Join(out, " ") + " "
}

func fitBatch(t *testing.T, k *Keys, rows arrow.RecordBatch, table *state.Table, mem memory.Allocator) []string {
	t.Helper()
	out := make([]string, rows.NumRows())
	fit := k.Fit(rows, table, mem, func(row int, reason string) {
		out[row] = map[bool]string{true: "many", false: "long"}[strings.HasPrefix(reason, "too many keys: ")]
	})
	defer fit.Release()
	slots, err := k.Intern(fit, mem, table, nil)
	if err != nil || len(slots) != int(fit.NumRows()) {
		t.Errorf("what fits has no slots: %v", err)
	}
	for _, offset := range flow.Offsets(fit) {
		i, _ := slices.BinarySearch(flow.Offsets(rows), offset)
		out[i] = fmt.Sprint(offset)
	}
	return out
}

// TestMaxKeys: a channel with more keys than usual makes room for them in the stages behind it; one with fewer does not make it less.
func TestMaxKeys(t *testing.T) {
	for channel, want := range map[*config.Channel]int{nil: 1 << 20, {MaxKeys: 5}: 1 << 20, {MaxKeys: 3 << 20}: 3 << 20} {
		if got := MaxKeys(channel); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}
