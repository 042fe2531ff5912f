package stagetest

import (
	"bytes"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestWorn: memory is never zero, keeps what is in it when it moves, and is of no use after it was let go of.
func TestWorn(t *testing.T) {
	mem := memory.NewCheckedAllocator(worn{})
	b := mem.Allocate(100)
	if bytes.IndexByte(b, 0) >= 0 {
		t.Error("new memory holds zeros")
	}
	copy(b, "rows")
	more := mem.Reallocate(200, b)
	if string(more[:4]) != "rows" || bytes.IndexByte(more, 0) >= 0 || bytes.HasPrefix(b, []byte("rows")) {
		t.Errorf("memory that has moved is %q, and was %q", more[:5], b[:5])
	}
	mem.Free(more)
	if bytes.HasPrefix(more, []byte("rows")) {
		t.Error("what was let go of can still be read")
	}
	mem.AssertSize(t, 0)
}
