package pipetest

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// Test is one test block.
type Test struct {
	Name  string
	Range hcl.Range
	Start time.Time
	Vars  map[string]string
	Long  bool // only run where the caller asks for long tests

	until, tick time.Duration
	end         bool
	rows        []*rowsBlock
	fleets      []*fleetBlock
	signals     []*signalBlock
	crashes     []*crashBlock
	fails       []*failBlock
	answers     []*answerBlock
	expects     []*expectBlock
}

// testBody are the arguments of a test block.
type testBody struct {
	Help     string          `hcl:"help,optional"`
	Start    string          `hcl:"start,optional"`
	Until    config.Duration `hcl:"until,optional"`
	Tick     config.Duration `hcl:"tick,optional"`
	End      bool            `hcl:"end,optional"`
	Long     bool            `hcl:"long,optional"`
	Vars     hcl.Expression  `hcl:"vars,optional"`
	Rows     []*rowsBlock    `hcl:"rows,block"`
	Fleets   []*fleetBlock   `hcl:"fleet,block"`
	Generate []*signalBlock  `hcl:"generate,block"`
	Crashes  []*crashBlock   `hcl:"crash,block"`
	Fails    []*failBlock    `hcl:"fail,block"`
	Answers  []*answerBlock  `hcl:"answer,block"`
	Expects  []*expectBlock  `hcl:"expect,block"`

	StartRange hcl.Range `hcl:"start,attr_value_range"`
}

// rowsBlock is records that stand in the file.
type rowsBlock struct {
	To     hcl.Expression `hcl:"to"`
	Table  hcl.Expression `hcl:"table,optional"`
	NDJSON hcl.Expression `hcl:"ndjson,optional"`
	Topic  string         `hcl:"topic,optional"`
	Range  hcl.Range      `hcl:",def_range"`

	channel string
	table   *table
	lines   []string
}

// fleetBlock is the fleet of trailers that `tidemill simulate` has.
type fleetBlock struct {
	To         hcl.Expression  `hcl:"to"`
	Devices    int             `hcl:"devices,optional"`
	Every      config.Duration `hcl:"every,optional"`
	For        config.Duration `hcl:"for"`
	Seed       uint64          `hcl:"seed,optional"`
	Offline    float64         `hcl:"offline,optional"`
	OfflineFor config.Duration `hcl:"offline_for,optional"`
	Skewed     float64         `hcl:"skewed,optional"`
	SkewBy     config.Duration `hcl:"skew_by,optional"`
	Malformed  float64         `hcl:"malformed,optional"`
	OutOfRange float64         `hcl:"out_of_range,optional"`
	Duplicated float64         `hcl:"duplicated,optional"`
	Missing    float64         `hcl:"missing,optional"`
	Failing    float64         `hcl:"failing,optional"`
	DoorMoving float64         `hcl:"door_moving,optional"`
	Range      hcl.Range       `hcl:",def_range"`

	channel string
}

// crashBlock ends the process at a time, and starts it again.
type crashBlock struct {
	At    config.Duration `hcl:"at"`
	Power bool            `hcl:"power,optional"`
	Range hcl.Range       `hcl:",def_range"`
}

// failBlock makes a sink fail, or hang, for a while.
type failBlock struct {
	Sink  hcl.Expression  `hcl:"sink"`
	At    config.Duration `hcl:"at,optional"`
	For   config.Duration `hcl:"for"`
	Hang  bool            `hcl:"hang,optional"`
	Range hcl.Range       `hcl:",def_range"`

	sink string
}

// expectBlock says what should have come.
type expectBlock struct {
	From     hcl.Expression `hcl:"from,optional"`
	Table    hcl.Expression `hcl:"table,optional"`
	Rows     *int64         `hcl:"rows,optional"`
	AtLeast  *int64         `hcl:"at_least,optional"`
	AtMost   *int64         `hcl:"at_most,optional"`
	Contains bool           `hcl:"contains,optional"`
	Ordered  bool           `hcl:"ordered,optional"`
	Metric   string         `hcl:"metric,optional"`
	// Tolerance is how far numbers may be from those of the table.
	Tolerance float64   `hcl:"tolerance,optional"`
	Value     *int64    `hcl:"value,optional"`
	Range     hcl.Range `hcl:",def_range"`

	MetricRange hcl.Range `hcl:"metric,attr_value_range"`

	from  string
	table *table
}

// Suite is the tests of a folder.
type Suite struct {
	Dir   string
	Tests []*Test
	Files map[string]*hcl.File // for printing diagnostics
}

// suffix ends the names of files that hold tests.
const suffix = ".test.hcl"

// Load reads the *.test.hcl files of a folder. It finds all mistakes that can
// be told without the pipelines; Run finds the others.
func Load(e *env.Env, dir string) (*Suite, hcl.Diagnostics) {
	s := &Suite{Dir: dir, Files: map[string]*hcl.File{}}
	entries, err := e.FS.ReadDir(dir)
	if err != nil {
		return s, config.Errorf(hcl.Range{}, "Folder cannot be read", "%v", err)
	}
	if slices.ContainsFunc(entries, func(x fs.DirEntry) bool { return x.Name() == "plugin.hcl" }) {
		return s, config.Errorf(hcl.Range{}, "A plugin's folder", "%s holds a plugin, whose tests are run by: tidemill plugin test %s", dir, dir)
	}
	var diags hcl.Diagnostics
	first := map[string]hcl.Range{}
	for _, entry := range entries {
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), suffix) {
			continue
		}
		file, more := config.ParseFile(e, path.Join(dir, entry.Name()))
		diags = append(diags, more...)
		if file == nil {
			continue
		}
		s.Files[path.Join(dir, entry.Name())] = file
		body := file.Body.(*hclsyntax.Body)
		for _, a := range body.Attributes {
			diags = append(diags, config.Errorf(a.NameRange, "Argument outside a block", "%q stands in no block. A file of tests holds test \"name\" { ... }", a.Name)...)
		}
		for _, b := range body.Blocks {
			if b.Type != "test" || len(b.Labels) != 1 {
				diags = append(diags, config.Errorf(b.DefRange(), "Not a test", "A file of tests holds test \"name\" { ... }; pipelines stand in *.hcl files beside it.")...)
				continue
			}
			t, more := newTest(b, file.Bytes)
			diags = append(diags, more...)
			if at, twice := first[t.Name]; twice {
				diags = append(diags, config.Errorf(t.Range, "Duplicate name", "test %q stands already on line %d of %s.", t.Name, at.Start.Line, at.Filename)...)
			}
			first[t.Name] = t.Range
			s.Tests = append(s.Tests, t)
		}
	}
	sort.SliceStable(s.Tests, func(i, j int) bool { return s.Tests[i].Range.Filename < s.Tests[j].Range.Filename })
	return s, config.Sort(diags)
}

// Pipelines are the mistakes of the pipelines beside tests that cannot be run, with the files that they are in: so that who mends
// the tests need not find the others afterwards.
func (s *Suite) Pipelines(e *env.Env) (hcl.Diagnostics, map[string]*hcl.File) {
	vars := map[string]string{}
	for _, t := range s.Tests {
		maps.Copy(vars, t.Vars)
	}
	c, diags := config.Load(e, s.Dir, config.Options{Vars: vars})
	if !diags.HasErrors() {
		_, diags = plan.Build(c, stages.Builtin(), nil)
	}
	return slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool { return d.Severity != hcl.DiagError }), c.Files
}

// newTest decodes a test block.
func newTest(b *hclsyntax.Block, src []byte) (*Test, hcl.Diagnostics) {
	body := &testBody{End: true, Start: "2026-01-01T00:00:00Z"}
	t := &Test{Name: b.Labels[0], Range: b.DefRange(), Vars: map[string]string{}}
	diags := config.DecodeBody(b.Body, body, nil)
	if diags.HasErrors() {
		return t, diags
	}
	var err error
	if t.Start, err = time.Parse(time.RFC3339, body.Start); err != nil {
		diags = append(diags, config.Errorf(body.StartRange, "Not a time", "start takes a time such as \"2026-11-22T10:00:00Z\".")...)
	}
	t.until, t.tick, t.end, t.Long = body.Until.Length(), body.Tick.Length(), body.End, body.Long
	t.rows, t.fleets, t.signals = body.Rows, body.Fleets, body.Generate
	t.crashes, t.fails, t.expects, t.answers = body.Crashes, body.Fails, body.Expects, body.Answers
	diags = append(diags, t.readVars(body.Vars)...)
	for _, r := range t.rows {
		diags = append(diags, r.read(src)...)
	}
	for _, f := range t.fleets {
		diags = append(diags, reference(f.To, "to", &f.channel)...)
	}
	for _, g := range t.signals {
		diags = append(diags, g.read()...)
	}
	for _, f := range t.fails {
		diags = append(diags, reference(f.Sink, "sink", &f.sink)...)
	}
	for _, a := range t.answers {
		diags = append(diags, a.read(src)...)
	}
	for _, x := range t.expects {
		diags = append(diags, x.read(src)...)
	}
	if len(t.expects) == 0 {
		diags = append(diags, config.Errorf(t.Range, "Nothing expected", "A test without expect { ... } can not fail. Say what should come.")...)
	}
	sort.SliceStable(t.crashes, func(i, j int) bool { return t.crashes[i].At.Length() < t.crashes[j].At.Length() })
	return t, diags
}

// readVars reads vars = { name = value }.
func (t *Test) readVars(x hcl.Expression) hcl.Diagnostics {
	if config.Absent(x) {
		return nil
	}
	v, diags := config.Value(x, nil)
	if diags.HasErrors() {
		return diags
	}
	if !v.Type().IsObjectType() {
		return config.Errorf(x.Range(), "Not an object", "vars takes values of variables in braces: vars = { name = \"value\" }.")
	}
	for name, value := range v.AsValueMap() {
		text, err := convert.Convert(value, cty.String)
		if err != nil || text.IsNull() {
			return config.Errorf(x.Range(), "Wrong type", "The value of var.%s should be a text, a number or a bool.", name)
		}
		t.Vars[name] = text.AsString()
	}
	return nil
}

// reference reads an argument that names a channel or a stage.
func reference(x hcl.Expression, what string, out *string) hcl.Diagnostics {
	t, ok := x.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return config.Errorf(x.Range(), "Not a reference", "%s takes a name without quotes, such as channel.telemetry or alarm.too_warm.", what)
	}
	*out = config.TraversalText(t.Traversal)
	return nil
}

// text reads an argument that is a constant text, mostly a heredoc.
func text(x hcl.Expression, what string) (string, hcl.Diagnostics) {
	v, diags := config.Value(x, nil)
	if diags.HasErrors() {
		return "", diags
	}
	if v.IsNull() || v.Type() != cty.String {
		return "", config.Errorf(x.Range(), "Not a text", "%s takes lines of text: %s = <<-EOT ... EOT", what, what)
	}
	return v.AsString(), nil
}

func (r *rowsBlock) read(src []byte) hcl.Diagnostics {
	diags := reference(r.To, "to", &r.channel)
	if config.Absent(r.Table) == config.Absent(r.NDJSON) {
		return append(diags, config.Errorf(r.Range, "Table or NDJSON", "rows takes either table = <<-EOT ... EOT or ndjson = <<-EOT ... EOT.")...)
	}
	if !config.Absent(r.NDJSON) {
		lines, more := text(r.NDJSON, "ndjson")
		for _, line := range strings.Split(lines, "\n") {
			if strings.TrimSpace(line) != "" {
				r.lines = append(r.lines, line)
			}
		}
		return append(diags, more...)
	}
	var more hcl.Diagnostics
	r.table, more = readTable(r.Table, src)
	return append(diags, more...)
}

func (x *expectBlock) read(src []byte) hcl.Diagnostics {
	if x.Metric != "" {
		if x.Value == nil && x.AtLeast == nil && x.AtMost == nil {
			return config.Errorf(x.Range, "Nothing expected", "Say what the metric should be: value = 3, at_least = 1 or at_most = 0.")
		}
		if config.Absent(x.From) {
			return nil
		}
		return reference(x.From, "from", &x.from)
	}
	if config.Absent(x.From) {
		return config.Errorf(x.Range, "Missing argument", "expect says what it looks at: from = alarm.NAME, window.NAME, rule.NAME, sink.NAME, channel.NAME or rejects.")
	}
	diags := reference(x.From, "from", &x.from)
	if x.Tolerance < 0 || x.Tolerance > 0 && config.Absent(x.Table) {
		diags = append(diags, config.Errorf(x.Range, "Tolerance of nothing", "tolerance is how far numbers may be from those of a table, such as 0.01; it is not negative.")...)
	}
	if !config.Absent(x.Table) {
		var more hcl.Diagnostics
		x.table, more = readTable(x.Table, src)
		return append(diags, more...)
	}
	if x.Rows == nil && x.AtLeast == nil && x.AtMost == nil {
		return append(diags, config.Errorf(x.Range, "Nothing expected", "Say what should come: table = <<-EOT ... EOT, rows = 3, at_least = 1 or at_most = 0.")...)
	}
	return diags
}
