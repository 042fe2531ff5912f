package ingestfile

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
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the ingest "file".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "ingest", Type: "file",
		Help: "Reads records from files: JSON lines, a JSON array, or CSV; plain, gzip or zstd.",
		Args: func() stage.Args { return &args{Separator: ","} },
	}
}

type args struct {
	Path      hcl.Expression `hcl:"path" help:"File to read, or a list of them; relative paths start at the folder of the configuration. * and ? in the last part stand for any names."`
	Format    string         `hcl:"format,optional" help:"ndjson (a record a line), json (an array of records), csv, or hex and base64 (a payload a line, with its topic before it); told from the path's ending when left out."`
	Topic     hcl.Expression `hcl:"topic,optional" help:"With the formats hex and base64: how topics look, as in ingest mqtt; names in braces become columns."`
	Follow    bool           `hcl:"follow,optional" help:"At the end of a file wait for more, and notice rotation and truncation."`
	Columns   []string       `hcl:"columns,optional" help:"Names of the columns of a CSV file that has no header."`
	Separator string         `hcl:"separator,optional" help:"What stands between the cells of a CSV file; one character, a comma when left out."`

	FormatRange    hcl.Range `hcl:"format,attr_value_range"`
	ColumnsRange   hcl.Range `hcl:"columns,attr_value_range"`
	SeparatorRange hcl.Range `hcl:"separator,attr_value_range"`
}

// options are checked arguments.
type options struct {
	address   string
	paths     []string // may hold wildcards
	format    string   // "" : by the ending of each file
	follow    bool
	columns   []string
	separator byte
	text      map[string]bool // CSV columns that the channel declares as strings
	topics    []decode.TopicTemplate
	written   map[string]string // folders as they stand in the file, by folder of paths
}

func (a *args) Bind(_ []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := options{address: at.Address, format: a.Format, follow: a.Follow, columns: a.Columns, text: map[string]bool{}, written: map[string]string{}}
	var diags hcl.Diagnostics
	o.paths, diags = a.paths(at, o.written)
	diags = append(diags, a.checkFormat()...)
	if a.Follow && a.Format == "json" {
		diags = append(diags, config.Errorf(a.FormatRange, "A JSON array cannot be followed",
			"An array ends with its bracket, so nothing can come after it. Write format = \"ndjson\", a record a line, or leave follow out.")...)
	}
	diags = append(diags, a.bindCSV(&o)...)
	diags = append(diags, a.bindTopics(&o, at)...)
	if at.Channel != nil {
		for _, f := range at.Channel.Schema {
			o.text[f.Name] = f.Type.ID() == arrow.STRING
		}
	}
	return stage.Bound{
		Topics:     o.topics,
		OpenSource: func(op stage.Opening, env stage.SourceEnv) (stage.Source, error) { return open(op, env, o) },
	}, diags
}

func (a *args) checkFormat() hcl.Diagnostics {
	formats := []string{"ndjson", "json", "csv", formatHex, formatBase64}
	if a.Format == "" || slices.Contains(formats, a.Format) {
		return nil
	}
	hint := ""
	if near := config.Nearest(a.Format, formats); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return config.Errorf(a.FormatRange, "Unknown format", "There is no format %q.%s There are: %s.", a.Format, hint, strings.Join(formats, ", "))
}

func (a *args) bindCSV(o *options) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if s := a.Separator; len(s) != 1 || s[0] < ' ' && s != "\t" || s[0] >= 0x80 || strings.ContainsAny(s, "\"\r\n") {
		diags = append(diags, config.Errorf(a.SeparatorRange, "Impossible separator",
			"separator = %q. It takes one ASCII character that is no quote and no line end, such as \",\", \";\" or \"\\t\".", s)...)
	} else {
		o.separator = s[0]
	}
	for i, name := range a.Columns {
		if name == "" {
			diags = append(diags, config.Errorf(a.ColumnsRange, "Column without a name", "Column %d of columns is \"\". Give each column a name.", i+1)...)
		} else if slices.Contains(a.Columns[:i], name) {
			diags = append(diags, config.Errorf(a.ColumnsRange, "Column named twice", "columns holds %q twice. Names of columns must differ.", name)...)
		}
	}
	return diags
}

func (a *args) paths(at stage.At, written map[string]string) ([]string, hcl.Diagnostics) {
	const detail = "path takes the name of a file, such as \"telemetry.ndjson\", or a list of names."
	where := at.Range
	if a.Path == nil {
		return nil, config.Errorf(where, "No path", detail)
	}
	where = a.Path.Range()
	v, diags := config.Value(a.Path, at.Eval)
	if diags.HasErrors() {
		return nil, diags
	}
	v, _ = v.Unmark()
	if v.Type() == cty.String && v.IsWhollyKnown() && !v.IsNull() {
		v = cty.TupleVal([]cty.Value{v})
	}
	v, err := convert.Convert(v, cty.List(cty.String))
	if err != nil || v.IsNull() || !v.IsWhollyKnown() || v.LengthInt() == 0 {
		return nil, config.Errorf(where, "Not a path", detail)
	}
	var out []string
	for _, item := range v.AsValueSlice() {
		item, _ = item.Unmark()
		if item.IsNull() || item.AsString() == "" {
			return nil, config.Errorf(where, "Not a path", detail)
		}
		name := item.AsString()
		if _, err := path.Match(path.Base(name), ""); err != nil {
			diags = append(diags, config.Errorf(where, "Not a pattern", "In %q a bracket is not closed.", name)...)
		}
		if strings.ContainsAny(path.Dir(name), "*?[") {
			diags = append(diags, config.Errorf(where, "Wildcard in a folder's name",
				"%q has a wildcard before its last slash. Wildcards stand in the last part of a path only.", name)...)
		}
		dir := path.Dir(name)
		if !path.IsAbs(name) {
			name = path.Join(at.Dir, name)
		}
		if _, known := written[path.Dir(name)]; !known {
			written[path.Dir(name)] = dir
		}
		out = append(out, name)
	}
	return out, diags
}

var _ stage.Args = (*args)(nil)
