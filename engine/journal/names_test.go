package journal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestNamesStay: who has read a block may keep its names, whatever the memory of the block is used for afterwards.
func TestNamesStay(t *testing.T) {
	var d dictionary
	var kept, want []string
	for block := range 20 {
		var names []string
		for i := range 100 {
			name := fmt.Sprintf("dt/%d/%d/%s", block, i, strings.Repeat("x", i*i%700))
			names = append(names, name)
			d.add(string([]byte(name)), i)
		}
		d.add("", len(names))
		d.add(names[3], len(names)+1)
		if names = append(names, ""); !slices.Equal(d.names, names) || d.last != names[3] {
			t.Fatalf("block %d: the names are %q", block, d.names)
		}
		kept, want = append(kept, d.names...), append(want, names...)
		d.reset()
	}
	if !slices.Equal(kept, want) {
		t.Fatal("names that were kept have changed")
	}
}
