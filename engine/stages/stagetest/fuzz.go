package stagetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// FuzzArgs decodes and binds any text as the body of a block of each kind: diagnostics with a position, or a stage, never a panic.
// It begins with the bodies of the package's cases.
func FuzzArgs(f *testing.F, specs ...stage.Spec) {
	for _, body := range bodies(f) {
		f.Add(body, 1)
		f.Add(body, 4)
	}
	schema := flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "site", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "ok", Type: arrow.FixedWidthTypes.Boolean}, {Name: "ts", Type: flow.Timestamp},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String)}, {Name: "pos.lat", Type: arrow.PrimitiveTypes.Float64},
	})
	f.Fuzz(func(t *testing.T, body []byte, partitions int) {
		if len(body) > 4096 || bytes.Count(body, []byte("(")) > 100 {
			return
		}
		for _, spec := range specs {
			bound, diags := Bind(spec, body, schema, "device", partitions)
			for _, d := range diags {
				if d.Subject == nil {
					t.Errorf("%s: no position: %s: %s", spec.Kind, d.Summary, d.Detail)
				}
			}
			if !diags.HasErrors() && (bound.Out == nil || bound.OpenStage == nil) {
				t.Errorf("%s: neither a stage nor an error", spec.Kind)
			}
		}
	})
}

// bodies returns what stands in the first section of every case.
func bodies(f *testing.F) [][]byte {
	files := env.Real().FS
	entries, err := files.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	var out [][]byte
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".txt") {
			continue
		}
		text, err := env.ReadWhole(files, "testdata/"+entry.Name(), 1<<24)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, txtar.Parse(text).Files[0].Data)
	}
	if len(out) == 0 {
		f.Fatal("there is no case in testdata")
	}
	return out
}
