package window

import (
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

func FuzzArgs(f *testing.F) {
	stagetest.FuzzArgs(f, Tumbling(), Sliding(), Session(), Count(), State())
}
