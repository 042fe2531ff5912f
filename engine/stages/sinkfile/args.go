package sinkfile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// File is the sink "file".
func File() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "file",
		Help: "Writes rows to a file, each exactly once, as JSON lines or CSV.",
		Args: func() stage.Args { return &fileArgs{} },
	}
}

// Stdout is the sink "stdout".
func Stdout() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "stdout",
		Help: "Shows rows on standard output.",
		Args: func() stage.Args { return &stdoutArgs{Format: "ndjson"} },
	}
}

type fileArgs struct {
	Path   string `hcl:"path" help:"File to write; relative paths start at the folder of the configuration. Missing folders are made."`
	Format string `hcl:"format,optional" help:"ndjson (one JSON object a line) or csv; told from the path's ending when left out."`
	Meta   bool   `hcl:"meta,optional" help:"Also write the metadata columns _offset, _index, _received, _time, _slot and _mark."`
	Append bool   `hcl:"append,optional" help:"Go on at the end of a file that another run has left, instead of refusing it."`

	PathRange   hcl.Range `hcl:"path,attr_value_range"`
	FormatRange hcl.Range `hcl:"format,attr_value_range"`
}

type stdoutArgs struct {
	Format string `hcl:"format,optional" help:"ndjson (one JSON object a line), csv, or table for people."`
	Meta   bool   `hcl:"meta,optional" help:"Also show the metadata columns _offset, _index, _received, _time, _slot and _mark."`

	FormatRange hcl.Range `hcl:"format,attr_value_range"`
}

// DataScheme in front of a path means the engine's data folder.
const DataScheme = "data://"

func (a *fileArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	format := a.Format
	if format == "" {
		format = "ndjson"
		if strings.HasSuffix(strings.ToLower(a.Path), ".csv") {
			format = "csv"
		}
	}
	if strings.TrimPrefix(a.Path, DataScheme) == "" {
		diags = append(diags, config.Errorf(a.PathRange, "Empty path", "path names the file to write, such as \"rows.ndjson\".")...)
	} else if strings.HasSuffix(a.Path, "/") {
		diags = append(diags, config.Errorf(a.PathRange, "Path is a folder", "path = %q ends with a slash. It names a file, such as %q.", a.Path, a.Path+"rows.ndjson")...)
	}
	diags = append(diags, checkFormat(format, a.FormatRange, "ndjson", "csv")...)
	if format == "csv" {
		diags = append(diags, checkCSV(in, at, a.FormatRange)...)
	}
	name := a.Path
	if !path.IsAbs(name) && !strings.HasPrefix(name, DataScheme) {
		name = path.Join(at.Dir, name)
	}
	read := readByIngests(at)
	diags = append(diags, refuseRead(name, read, a.PathRange)...)
	opts := options{name: name, csv: format == "csv", meta: a.Meta, keep: a.Append, reads: read}
	return stage.Bound{
		Delivery: stage.Transactional,
		Identity: format + " " + path.Clean(a.Path), // as written: the folder may be called by another name next time
		OpenSink: func(o stage.Opening) (stage.Sink, error) { return openFile(o, opts) },
	}, diags
}

// refuseRead refuses the file that an ingest of the same configuration reads: what is written there
// would come in again and again, or stand where the input was.
func refuseRead(name string, read []reads, where hcl.Range) hcl.Diagnostics {
	for _, r := range read {
		if path.Dir(r.path) == path.Dir(name) && r.matches(name) {
			return config.Errorf(where, "File is read by an ingest",
				"ingest.%s reads %s. Write to another file, or to one in another folder; rows go from a pipeline into a channel by sink \"channel\".", r.ingest, path.Base(r.path))
		}
	}
	return nil
}

// matches says whether the last part of a name is one that the ingest would read.
func (r reads) matches(name string) bool {
	same, err := path.Match(path.Base(r.path), path.Base(name))
	return same && err == nil
}

func readByIngests(at stage.At) (all []reads) {
	for _, b := range at.Ingests {
		for _, p := range readBy(b, at) {
			all = append(all, reads{b.Name, p})
		}
	}
	return all
}

// readBy lists the paths of an ingest "file", of which the last part may hold wildcards. What is wrong with them, the ingest tells.
func readBy(b *config.Block, at stage.At) []string {
	if b.Type != "file" {
		return nil
	}
	content, _, _ := b.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "path"}}})
	if content == nil || content.Attributes["path"] == nil {
		return nil
	}
	v, diags := config.Value(content.Attributes["path"].Expr, at.Eval)
	if v, _ = v.UnmarkDeep(); diags.HasErrors() || !v.IsWhollyKnown() || v.IsNull() {
		return nil
	}
	if v.Type() == cty.String {
		v = cty.TupleVal([]cty.Value{v})
	}
	v, err := convert.Convert(v, cty.List(cty.String))
	if err != nil {
		return nil
	}
	var paths []string
	for _, item := range v.AsValueSlice() {
		if item.IsNull() {
			continue
		}
		name := item.AsString()
		if !path.IsAbs(name) {
			name = path.Join(at.Dir, name)
		}
		paths = append(paths, path.Clean(name))
	}
	return paths
}

func (a *stdoutArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	diags := checkFormat(a.Format, a.FormatRange, "ndjson", "csv", "table")
	if a.Format == "csv" {
		diags = append(diags, checkCSV(in, at, a.FormatRange)...)
	}
	opts := options{csv: a.Format == "csv", table: a.Format == "table", meta: a.Meta, inputs: at.Inputs}
	return stage.Bound{
		Delivery: stage.AtLeastOnce,
		OpenSink: func(o stage.Opening) (stage.Sink, error) { return openStdout(o, opts), nil },
	}, diags
}

func checkFormat(format string, at hcl.Range, formats ...string) hcl.Diagnostics {
	if slices.Contains(formats, format) {
		return nil
	}
	hint := ""
	if near := config.Nearest(format, formats); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return config.Errorf(at, "Unknown format", "There is no format %q.%s There are: %s.", format, hint, strings.Join(formats, ", "))
}

// checkCSV refuses inputs with different columns: a CSV file has one header.
func checkCSV(in []*arrow.Schema, at stage.At, where hcl.Range) hcl.Diagnostics {
	for i := 1; i < len(in); i++ {
		if in[i] == nil || in[0] == nil || slices.Equal(names(in[0]), names(in[i])) {
			continue
		}
		if where.Empty() {
			where = at.Range
		}
		return config.Errorf(where, "CSV of different columns",
			"%s has the columns %s, and %s has %s. A CSV file has one header: write a sink for each, or format = \"ndjson\".",
			at.Inputs[0], strings.Join(names(in[0]), ", "), at.Inputs[i], strings.Join(names(in[i]), ", "))
	}
	return nil
}

func names(s *arrow.Schema) []string {
	var out []string
	for _, f := range flow.UserFields(s) {
		out = append(out, f.Name)
	}
	return out
}

var (
	_ stage.Args = (*fileArgs)(nil)
	_ stage.Args = (*stdoutArgs)(nil)
)
