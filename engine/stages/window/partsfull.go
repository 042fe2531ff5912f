package window

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// The first phase with more groups than there is room for: the rows of further ones are rejected, one by one, and all others go on. Groups leave at
// ticks alone, so that these are the same rows however batches are cut. In one phase the channel that brings rows together refuses keys beyond its
// max_keys the same way. Parts of the groups that there are end the run when there is no room for more: a grace that is too long cannot be had.

// noGroup is the group of a row that was refused.
const noGroup = ^uint32(0)

// findEach is findGroups row by row, for a batch with a key that the table refuses.
func (s *parts) findEach(rows arrow.RecordBatch) {
	for i := range s.laneNos {
		row := flow.Take(rows, []int32{int32(i)}, s.o.Alloc)
		if _, err := s.keys.Intern(row, s.o.Alloc, s.groups, s.laneNos[i:i+1]); err != nil {
			s.laneNos[i] = noGroup
			s.refuseKey(s.rows, i, s.whyNoGroup(err))
		}
		row.Release()
	}
}

// whyNoGroup says why a row has no group: there are too many, or its key is too long.
func (s *parts) whyNoGroup(err error) string {
	if s.groups.Room() > 0 {
		return keyTooLong(err)
	}
	return fmt.Sprintf("too many keys: %d keys (by %s) have parts of windows that wait for their grace; a shorter grace, fewer columns in by, or max_keys in the channel help",
		s.groups.Len(), strings.Join(stage.Names(s.by), ", "))
}

// explain says of a full table of parts what an author can do.
func (s *parts) explain(err error) error {
	names := strings.Join(stage.Names(s.by), ", ")
	if names == "" {
		names = "nothing"
	}
	return fmt.Errorf("%w. %s holds %d keys (by %s) and %d parts of windows that wait for their grace; a shorter grace or fewer columns in by help",
		err, s.o.Address, s.groups.Len(), names, s.panes.Len())
}

// keyTooLong is the reason for which a row is refused whose key a table with room does not take.
func keyTooLong(err error) string { return "no window for its key: " + err.Error() }
