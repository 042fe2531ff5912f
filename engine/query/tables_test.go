package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/objects"
)

// TestUnreadable: a table that cannot be read is told of where a statement names it, and keeps nobody from the others.
func TestUnreadable(t *testing.T) {
	ctx, e, place := context.Background(), env.NewSim(1).Env(), objects.Config{Place: "/lake"}
	store, err := objects.Open(e, place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, "_tidemill/bad.json", []byte("{"), objects.Condition{}); err != nil {
		t.Fatal(err)
	}
	bad, fresh := lake.Source{Name: "bad", Place: place}, lake.Source{Name: "fresh", Place: place}
	tables, err := Find(ctx, e, []lake.Source{bad, fresh})
	if err != nil || len(tables) != 2 || tables[0].Err == nil || tables[1].Err != nil {
		t.Fatalf("%v: %+v", err, tables)
	}
	for name, want := range map[string]struct {
		says string
		ours bool
	}{
		"bad":        {"table bad cannot be read: ", true},
		"Bad_latest": {"table bad cannot be read: ", true},
		"fresh":      {"nothing has been written to table fresh yet", false},
	} {
		tree := fmt.Sprintf(`{"error":false,"statements":[{"node":{"type":"SELECT_NODE","from_table":{"type":"BASE_TABLE","table_name":%q}}}]}`, name)
		_, err := checkTree(tree, "SELECT 1", 0, tables)
		var p *Problem
		if !errors.As(err, &p) || !strings.HasPrefix(p.Message, want.says) || p.Ours != want.ours {
			t.Errorf("%s: %+v; want %q", name, p, want.says)
		}
	}
	if _, err := Find(ctx, e, []lake.Source{bad}); err == nil {
		t.Error("nothing can be read, and nobody is told")
	}
}
