package enrich

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// File is the stage enrich "file".
func File() stage.Spec {
	return stage.Spec{Kind: "enrich", Type: "file", Counts: counts(), Help: "Adds columns from a table in a CSV, JSON or Parquet file, by key.",
		Args: func() stage.Args { return &fileArgs{Refresh: "1m", MaxBytes: "64MiB", MaxRows: 1 << 20} }}
}

// HTTP is the stage enrich "http".
func HTTP() stage.Spec {
	all := newServers()
	return stage.Spec{Kind: "enrich", Type: "http", Counts: counts(), Help: "Adds columns from a table that a web server gives out, by key.",
		Args: func() stage.Args {
			return &httpArgs{Refresh: "1m", Timeout: "10s", MaxBytes: "64MiB", MaxRows: 1 << 20, servers: all}
		}}
}

func counts() []string { return []string{"missing", "refresh_failed", "refreshed"} }

type fileArgs struct {
	Path     string          `hcl:"path" help:"The file; a relative path starts at the configuration's folder."`
	Format   string          `hcl:"format,optional" help:"csv (with a header), ndjson, json (an array of objects) or parquet; by the ending of the name when left out."`
	By       hcl.Expression  `hcl:"by" help:"Columns of the rows that choose a row of the table, such as [site]."`
	With     hcl.Expression  `hcl:"with,optional" help:"The table's columns that they are compared with; those of the same names when left out."`
	Columns  hcl.Expression  `hcl:"columns" help:"The table's columns and their types: { id = string, lat = number, ... }, with string, number, integer, bool and timestamp. Those that are not in with are added to rows."`
	Missing  string          `hcl:"missing,optional" help:"What becomes of rows whose key the table lacks: null (default), default, drop or reject."`
	Default  hcl.Expression  `hcl:"default,optional" help:"Values for missing = \"default\": { column = expression over the row, ... }."`
	Refresh  config.Duration `hcl:"refresh,optional" help:"How often the table is looked at again, 1m when left out; 0s: never."`
	MaxBytes config.Size     `hcl:"max_bytes,optional" help:"Bytes of the table at most, 64MiB when left out."`
	MaxRows  int             `hcl:"max_rows,optional" help:"Rows of the table at most, 1048576 when left out."`

	PathRange    hcl.Range `hcl:"path,attr_value_range"`
	FormatRange  hcl.Range `hcl:"format,attr_value_range"`
	MissingRange hcl.Range `hcl:"missing,attr_value_range"`
	RefreshRange hcl.Range `hcl:"refresh,attr_value_range"`
	RowsRange    hcl.Range `hcl:"max_rows,attr_value_range"`
	BytesRange   hcl.Range `hcl:"max_bytes,attr_value_range"`
}

type httpArgs struct {
	URL      string            `hcl:"url" help:"Where the table is, such as https://example.com/sites.json."`
	Headers  map[string]string `hcl:"headers,optional" help:"Headers of every request; secrets by env(...)."`
	Timeout  config.Duration   `hcl:"timeout,optional" help:"How long a request may take, 10s when left out."`
	Format   string            `hcl:"format,optional" help:"csv (with a header), ndjson, json (an array of objects) or parquet; by the ending of the URL's path when left out."`
	By       hcl.Expression    `hcl:"by" help:"Columns of the rows that choose a row of the table, such as [site]."`
	With     hcl.Expression    `hcl:"with,optional" help:"The table's columns that they are compared with; those of the same names when left out."`
	Columns  hcl.Expression    `hcl:"columns" help:"The table's columns and their types: { id = string, lat = number, ... }, with string, number, integer, bool and timestamp. Those that are not in with are added to rows."`
	Missing  string            `hcl:"missing,optional" help:"What becomes of rows whose key the table lacks: null (default), default, drop or reject."`
	Default  hcl.Expression    `hcl:"default,optional" help:"Values for missing = \"default\": { column = expression over the row, ... }."`
	Refresh  config.Duration   `hcl:"refresh,optional" help:"How often the table is asked for again, 1m when left out; 0s: never."`
	MaxBytes config.Size       `hcl:"max_bytes,optional" help:"Bytes of the table at most, 64MiB when left out."`
	MaxRows  int               `hcl:"max_rows,optional" help:"Rows of the table at most, 1048576 when left out."`

	URLRange     hcl.Range `hcl:"url,attr_value_range"`
	TimeoutRange hcl.Range `hcl:"timeout,attr_value_range"`
	FormatRange  hcl.Range `hcl:"format,attr_value_range"`
	MissingRange hcl.Range `hcl:"missing,attr_value_range"`
	RefreshRange hcl.Range `hcl:"refresh,attr_value_range"`
	RowsRange    hcl.Range `hcl:"max_rows,attr_value_range"`
	BytesRange   hcl.Range `hcl:"max_bytes,attr_value_range"`

	servers *servers
}

// program is what both stages do.
type program struct {
	by      []stage.Column
	with    []int // places of the key's columns in fields
	fields  []arrow.Field
	added   []int // places of the columns that rows get
	add     *carry.Adder
	format  string
	refresh int64 // us; 0: never
	maxRows int
	bytes   int64

	path    string // of the file, or
	url     string
	shown   string // as messages may show it
	headers map[string]string
	timeout time.Duration
	servers *servers
}

// Bind checks the arguments; see stage.Args.
func (a *fileArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	p := &program{path: a.Path, shown: a.Path, bytes: a.MaxBytes.Bytes(), maxRows: a.MaxRows}
	var diags hcl.Diagnostics
	if a.Path == "" {
		diags = config.Errorf(a.PathRange, "No path", "path names the file, such as \"sites.csv\".")
	} else if !path.IsAbs(a.Path) {
		p.path = path.Join(at.Dir, a.Path)
	}
	c := common{a.Format, a.Path, a.By, a.With, a.Columns, a.Missing, a.Default, a.Refresh, a.FormatRange, a.PathRange, a.MissingRange, a.RefreshRange, a.RowsRange, a.BytesRange}
	return p.bind(&c, in, at, diags)
}

// Bind checks the arguments; see stage.Args. No message holds what may be a secret in a URL.
func (a *httpArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	p := &program{servers: a.servers, url: a.URL, headers: a.Headers, timeout: a.Timeout.Length(), bytes: a.MaxBytes.Bytes(), maxRows: a.MaxRows}
	var diags hcl.Diagnostics
	name := ""
	u, wrong := config.ParseHTTP(a.URL)
	if wrong != "" || u.User != nil {
		diags = config.Errorf(a.URLRange, "Not a URL", "url begins with http:// or https:// and names a host, with a port of at most 65535 if any, as in \"https://example.com/sites.json\". A password stands in a header: headers = { Authorization = env(\"NAME\") }.")
	} else {
		name, p.shown = u.Path, u.Scheme+"://"+u.Host+u.Path
	}
	if l := a.Timeout.Length(); l < 100*time.Millisecond || l > 10*time.Minute {
		diags = append(diags, config.Errorf(a.TimeoutRange, "Out of range", "timeout goes from 100ms to 10m.")...)
	}
	c := common{a.Format, name, a.By, a.With, a.Columns, a.Missing, a.Default, a.Refresh, a.FormatRange, a.URLRange, a.MissingRange, a.RefreshRange, a.RowsRange, a.BytesRange}
	return p.bind(&c, in, at, diags)
}

// common is what both kinds of arguments have.
type common struct {
	format, name                                            string
	by, with, columns                                       hcl.Expression
	missing                                                 string
	defaults                                                hcl.Expression
	refresh                                                 config.Duration
	formatAt, nameAt, missingAt, refreshAt, rowsAt, bytesAt hcl.Range
}

func (p *program) bind(c *common, in []*arrow.Schema, at stage.At, diags hcl.Diagnostics) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "An enrich has one input", "This enrich reads from %d stages; it can read from one.", len(in))
	}
	fail := func(where hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, config.Errorf(where, summary, detail, args...)...)
	}
	formats := []string{"csv", "ndjson", "json", "parquet"}
	where := c.formatAt
	if p.format = c.format; c.format == "" {
		p.format, where = strings.TrimPrefix(path.Ext(c.name), "."), c.nameAt
	}
	if !slices.Contains(formats, p.format) && len(diags) == 0 {
		fail(where, "Unknown format", "The format is %q. Write format = one of %s.", p.format, config.List(formats))
	}
	if p.refresh = c.refresh.Length().Microseconds(); p.refresh != 0 && p.refresh < int64(time.Second/time.Microsecond) {
		fail(c.refreshAt, "Out of range", "refresh is 0s, never, or at least 1s: the journal's clock ticks every second.")
	}
	const most = 1 << 24
	if p.maxRows < 1 || p.maxRows > most {
		fail(c.rowsAt, "Out of range", "max_rows goes from 1 to %d; this is %d.", most, p.maxRows)
	}
	if p.bytes < 1 || p.bytes > 1<<30 {
		fail(c.bytesAt, "Out of range", "max_bytes goes from 1 to 1GiB.")
	}
	by, more := stage.Columns(c.by, "by", at.Scope(0))
	diags = append(diags, more...)
	p.by = by
	diags = append(diags, p.bindColumns(c, in[0], !more.HasErrors())...)
	added := []arrow.Field{}
	for _, i := range p.added {
		added = append(added, p.fields[i])
	}
	missingAt := at.Range
	if c.missing != "" {
		missingAt = c.missingAt
	}
	add, more := carry.Bind(in[0], added, c.missing, c.defaults, missingAt, at)
	diags = append(diags, more...)
	p.add = add
	reads := append(stage.Names(by), add.Reads()...)
	slices.Sort(reads)
	var asks *stage.Asks
	if p.path == "" {
		asks = &stage.Asks{Of: p.shown, Format: p.format, Fields: p.fields}
	}
	return stage.Bound{Out: add.Out, Asks: asks, File: p.path, Key: at.Keys[0], Reads: slices.Compact(reads), PassesAll: true, Filters: add.Missing >= carry.Dropped,
		Revises: stage.Has(in[0], "revision"), Revised: revised(&at, add.Missing),
		State: []state.Decl{{Name: "version", Digest: "enrich 1 " + p.shown, MaxKeys: 1, KeysPlanned: 1,
			Columns: []state.Column{{Name: "ticks", Type: state.I64, Width: 2}, {Name: "digest", Type: state.Bytes}}}},
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(p, o) }}, config.Sort(diags)
}

// revised says how revisions of rows belong together behind the enrich: as before, unless one of them may find nothing in a
// table that has been read again, and be left out.
func revised(at *stage.At, missing carry.Missing) *stage.Revised {
	in := at.RevisedAt(0)
	if in == nil || in.By == nil || missing < carry.Dropped {
		return in
	}
	return &stage.Revised{Why: at.Address + " may let one revision of a row through and leave another out, for which its table has nothing"}
}

// bindColumns checks the table's columns; known says that by is all right, and so how many of them are compared.
func (p *program) bindColumns(c *common, in *arrow.Schema, known bool) hcl.Diagnostics {
	members, diags := stage.Members(c.columns, "columns")
	var names []string
	for _, m := range members {
		word, _ := stage.ColumnName(m.Value)
		t, ok := typeOf(word)
		if !ok || slices.Contains(names, m.Name) {
			diags = append(diags, config.Errorf(m.Value.Range(), "Not a type", "columns takes name = type, each name once, with string, number, integer, bool or timestamp.")...)
			continue
		}
		names = append(names, m.Name)
		p.fields = append(p.fields, arrow.Field{Name: m.Name, Type: t, Nullable: true})
	}
	withX := c.with
	if config.Absent(withX) {
		withX = c.by
	}
	with, more := stage.ColumnNames(withX, "with")
	diags = append(diags, more...)
	if len(with) != len(p.by) || len(with) == 0 {
		if len(diags) == 0 && known {
			diags = append(diags, config.Errorf(withX.Range(), "Keys of different lengths", "by and with name equally many columns, at least one.")...)
		}
		return diags
	}
	for i, w := range with {
		k := slices.Index(names, w.Name)
		switch {
		case k < 0:
			diags = append(diags, config.Errorf(w.At, "Unknown name", "columns does not name %q.%s", w.Name, stage.Suggest(w.Name, names))...)
			continue
		case !arrow.TypeEqual(p.fields[k].Type, p.by[i].Type):
			diags = append(diags, config.Errorf(p.by[i].At, "Keys of different types", "The types of %s (%s) and of %s of the table (%s) differ: they are never equal.",
				p.by[i].Name, expr.TypeName(p.by[i].Type), w.Name, expr.TypeName(p.fields[k].Type))...)
		}
		p.with = append(p.with, k)
	}
	for i, m := range members {
		if i < len(p.fields) && !slices.Contains(p.with, i) {
			diags = append(diags, carry.CheckNew(in, m.Name, m.At)...)
			p.added = append(p.added, i)
		}
	}
	return diags
}

func typeOf(word string) (arrow.DataType, bool) {
	switch word {
	case "string":
		return arrow.BinaryTypes.String, true
	case "number":
		return arrow.PrimitiveTypes.Float64, true
	case "integer":
		return arrow.PrimitiveTypes.Int64, true
	case "bool":
		return arrow.FixedWidthTypes.Boolean, true
	case "timestamp":
		return flow.Timestamp, true
	}
	return nil, false
}
