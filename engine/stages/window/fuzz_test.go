package window

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// FuzzArgs decodes and binds any text as the block's body: diagnostics, never a
// panic, and never an error without a position.
func FuzzArgs(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(txtar.Parse(b).Files[0].Data, 1)
		f.Add(txtar.Parse(b).Files[0].Data, 4)
	}
	schema := flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "site", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "ok", Type: arrow.FixedWidthTypes.Boolean}, {Name: "ts", Type: flow.Timestamp},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String)}, {Name: "pos.lat", Type: arrow.PrimitiveTypes.Float64},
	})
	specs := []stage.Spec{Tumbling(), Sliding(), Session(), Count(), State()}
	f.Fuzz(func(t *testing.T, body []byte, partitions int) {
		if len(body) > 4096 || bytes.Count(body, []byte("(")) > 100 {
			return
		}
		for _, spec := range specs {
			bound, diags := stagetest.Bind(spec, body, schema, "device", partitions)
			for _, d := range diags {
				if d.Subject == nil {
					t.Errorf("no position: %s: %s", d.Summary, d.Detail)
				}
			}
			if !diags.HasErrors() && (bound.Out == nil || bound.OpenStage == nil) {
				t.Error("neither a stage nor an error")
			}
		}
	})
}
