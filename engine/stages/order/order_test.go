package order

import (
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestCases runs testdata/*.txt; UPDATE_TESTDATA=1 writes down what comes out.
func TestCases(t *testing.T) { stagetest.Cases(t, Spec()) }
