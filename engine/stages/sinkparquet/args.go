package sinkparquet

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the sink "parquet".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "parquet",
		Help: "Writes rows to a lake of Parquet files, each exactly once, in a folder or in S3.",
		Args: func() stage.Args {
			return &args{RollRows: 1_000_000, RollBytes: "128MiB", RollAge: "5m", Writers: 256, Compact: 8, Grace: "10m", Region: "us-east-1"}
		},
	}
}

type args struct {
	Path        string            `hcl:"path" help:"Folder of the lake, from the folder of the configuration, or s3://BUCKET/PREFIX."`
	Table       string            `hcl:"table,optional" help:"Name of the table; the sink's name when left out."`
	PartitionBy hcl.Expression    `hcl:"partition_by,optional" help:"Columns, or year, month, day or hour of a time, that give each partition a folder; { name = expression } for others."`
	RollRows    int               `hcl:"roll_rows,optional" help:"Rows after which files are written, 1000000 when left out."`
	RollBytes   config.Size       `hcl:"roll_bytes,optional" help:"Memory of rows after which files are written, 128MiB when left out."`
	RollAge     config.Duration   `hcl:"roll_age,optional" help:"Time after which files are written, 5m when left out."`
	Writers     int               `hcl:"writers,optional" help:"Partitions that may be open at a time, 256 when left out."`
	Compact     int               `hcl:"compact,optional" help:"As many small files of a partition become one, 8 when left out; 0 never."`
	Retention   config.Duration   `hcl:"retention,optional" help:"Age of its newest row at which a file goes; they stay when left out."`
	Grace       config.Duration   `hcl:"grace,optional" help:"How long files stay for those who read them after they were merged or grew too old, 10m when left out."`
	Units       map[string]string `hcl:"units,optional" help:"Units of columns, which go into the files."`
	Key         hcl.Expression    `hcl:"key,optional" help:"Columns by which rows revise each other; of a window, what stands before window_end."`
	Endpoint    string            `hcl:"endpoint,optional" help:"URL of an S3 server; that of AWS when left out."`
	Region      string            `hcl:"region,optional" help:"Region of the bucket, us-east-1 when left out."`
	AccessKey   string            `hcl:"access_key,optional" help:"Access key for S3, by env(...)."`
	SecretKey   string            `hcl:"secret_key,optional" help:"Secret key for S3, by env(...)."`

	PathRange      hcl.Range `hcl:"path,attr_value_range"`
	TableRange     hcl.Range `hcl:"table,attr_value_range"`
	RowsRange      hcl.Range `hcl:"roll_rows,attr_value_range"`
	BytesRange     hcl.Range `hcl:"roll_bytes,attr_value_range"`
	AgeRange       hcl.Range `hcl:"roll_age,attr_value_range"`
	WritersRange   hcl.Range `hcl:"writers,attr_value_range"`
	CompactRange   hcl.Range `hcl:"compact,attr_value_range"`
	RetentionRange hcl.Range `hcl:"retention,attr_value_range"`
	GraceRange     hcl.Range `hcl:"grace,attr_value_range"`
	UnitsRange     hcl.Range `hcl:"units,attr_value_range"`
	EndpointRange  hcl.Range `hcl:"endpoint,attr_value_range"`
	KeysRange      hcl.Range `hcl:"access_key,attr_value_range"`
}

// options are checked arguments.
type options struct {
	place     objects.Config
	table     string
	identity  string
	shape     ledger.Shape
	parts     [][]part // by input
	keys      []string // by input: the channel's key, by which rows are ordered
	units     map[string]string
	rows      int
	bytes     int64
	age       int64 // us
	writers   int
	compact   int
	retention int64 // us, 0: files stay
	grace     int64 // us
}

func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := &options{
		place: objects.Config{Place: a.Path, Endpoint: a.Endpoint, Region: a.Region, AccessKey: a.AccessKey, SecretKey: a.SecretKey},
		table: a.Table, units: a.Units, rows: a.RollRows, bytes: a.RollBytes.Bytes(), age: a.RollAge.Length().Microseconds(), writers: a.Writers,
		compact: a.Compact, retention: a.Retention.Length().Microseconds(), grace: a.Grace.Length().Microseconds(), keys: at.Keys,
	}
	if o.table == "" {
		o.table = at.Address[strings.LastIndexByte(at.Address, '.')+1:]
	}
	diags := a.bindPlace(o, at)
	diags = append(diags, a.bindLimits(o)...)
	columns, more := bindColumns(in, at)
	diags = append(diags, more...)
	for i := range in {
		parts, more := bindParts(a.PartitionBy, in[i], at.Scope(i))
		diags = append(diags, more...)
		o.parts = append(o.parts, parts)
	}
	o.shape = ledger.Shape{Sink: at.Address, Columns: a.withUnits(columns, in)}
	if at.Channel != nil {
		o.shape.Channel = at.Channel.Name
	}
	if len(o.parts) > 0 {
		for _, p := range o.parts[0] {
			o.shape.Partition = append(o.shape.Partition, ledger.Column{Name: p.name, Type: p.typ})
		}
	}
	diags = append(diags, a.bindKey(o, in, at)...)
	diags = append(diags, a.bindUnits(in)...)
	o.identity = "parquet " + a.Path + " " + o.table
	return stage.Bound{
		Delivery: stage.Idempotent, Identity: o.identity, Moves: true,
		Table:    &stage.Table{Name: o.table, Place: o.place},
		OpenSink: func(op stage.Opening) (stage.Sink, error) { return open(op, o) },
	}, config.Sort(diags)
}

func (a *args) bindPlace(o *options, at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	switch {
	case strings.TrimPrefix(a.Path, objects.DataScheme) == "":
		diags = config.Errorf(a.PathRange, "Empty path", "path names the folder of the lake, such as \"lake\", or \"s3://bucket/lake\".")
	case objects.S3(a.Path):
		if wrong := o.place.Check(); wrong != "" {
			where := a.PathRange
			if strings.HasPrefix(wrong, "endpoint") {
				where = a.EndpointRange
			}
			diags = config.Errorf(where, "Not a place in S3", "%s.", wrong)
		}
		if (a.AccessKey == "") != (a.SecretKey == "") {
			diags = append(diags, config.Errorf(a.PathRange, "Half of the keys", "access_key and secret_key go together: access_key = env(\"NAME\"), secret_key = env(\"NAME\").")...)
		}
	case a.Endpoint != "":
		diags = config.Errorf(a.EndpointRange, "No bucket", "endpoint is the server of a bucket, and path = %q is a folder. Write path = \"s3://bucket/%s\", or leave endpoint out.", a.Path, path.Base(a.Path))
	case !path.IsAbs(a.Path) && !strings.HasPrefix(a.Path, objects.DataScheme):
		o.place.Place = path.Join(at.Dir, a.Path)
	}
	if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`).MatchString(o.table) {
		diags = append(diags, config.Errorf(a.TableRange, "Not a table's name", "The table would be called %q. Letters, digits and _ make a name that SQL takes without quotes, such as table = \"readings\".", o.table)...)
	}
	return diags
}

func (a *args) bindLimits(o *options) hcl.Diagnostics {
	var diags hcl.Diagnostics
	out := func(bad bool, at hcl.Range, format string, args ...any) {
		if bad {
			diags = append(diags, config.Errorf(at, "Out of range", format, args...)...)
		}
	}
	out(o.rows < 1 || o.rows > 20_000_000, a.RowsRange, "roll_rows goes from 1 to 20000000; this is %d.", o.rows)
	out(o.bytes < 64<<10 || o.bytes > 4<<30, a.BytesRange, "roll_bytes goes from 64KiB to 4GiB: it is memory.")
	out(o.age < 100_000 || o.age > 24*time.Hour.Microseconds(), a.AgeRange, "roll_age goes from 100ms to 24h: rows wait so long in the spool.")
	out(o.writers < 1 || o.writers > 10_000, a.WritersRange, "writers goes from 1 to 10000; this is %d.", o.writers)
	out(o.compact != 0 && (o.compact < 2 || o.compact > 1000), a.CompactRange, "compact goes from 2 to 1000, or is 0 for never; this is %d.", o.compact)
	out(!a.RetentionRange.Empty() && o.retention < time.Minute.Microseconds(), a.RetentionRange, "retention is at least 1m.")
	out(o.grace < 0 || o.grace > 7*24*time.Hour.Microseconds(), a.GraceRange, "grace goes from 0s to 7d.")
	return diags
}

// bindColumns lists the columns of all inputs. A name has one type in a table.
func bindColumns(in []*arrow.Schema, at stage.At) ([]ledger.Column, hcl.Diagnostics) {
	var cols []ledger.Column
	var diags hcl.Diagnostics
	first := map[string]int{}
	for i, s := range in {
		if s == nil {
			continue
		}
		for _, f := range flow.UserFields(s) {
			if !parquet.Writable(f.Type) {
				continue // of no type yet
			}
			typ := expr.TypeName(f.Type)
			was, known := first[f.Name]
			if !known {
				first[f.Name] = i
				cols = append(cols, ledger.Column{Name: f.Name, Type: typ})
				continue
			}
			for _, c := range cols {
				if c.Name == f.Name && c.Type != typ {
					diags = append(diags, config.Errorf(at.Range, "Column of two types", "%s is a %s in %s and a %s in %s. A table has one type for a column: write a sink for each, or rename one in a rule.",
						f.Name, c.Type, at.Inputs[was], typ, at.Inputs[i])...)
				}
			}
		}
	}
	return cols, diags
}

func (a *args) withUnits(cols []ledger.Column, in []*arrow.Schema) []ledger.Column {
	for i := range cols {
		cols[i].Unit = a.Units[cols[i].Name]
	}
	for _, f := range metaFields() {
		cols = append(cols, ledger.Column{Name: f.Name, Type: typeName(f.Type)})
	}
	return cols
}

// typeName is how a list of files names a type.
func typeName(t arrow.DataType) string {
	if t.ID() == arrow.INT32 {
		return "int32"
	}
	return expr.TypeName(t)
}

func (a *args) bindUnits(in []*arrow.Schema) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for name := range a.Units {
		known := false
		var names []string
		open := false
		for _, s := range in {
			open = open || s == nil
			known = known || stage.Has(s, name)
			if s != nil {
				for _, f := range flow.UserFields(s) {
					names = append(names, f.Name)
				}
			}
		}
		if !known && !open && len(names) > 0 {
			diags = append(diags, config.Warnf(a.UnitsRange, "Unit of no column", "No row has a column %s.%s", name, stage.Suggest(name, names))...)
		}
	}
	return diags
}

// bindKey finds the columns by which rows revise each other.
func (a *args) bindKey(o *options, in []*arrow.Schema, at stage.At) hcl.Diagnostics {
	revised := false
	for _, s := range in {
		revised = revised || stage.Has(s, revisionColumn)
	}
	if !config.Absent(a.Key) && len(in) > 0 {
		cols, diags := stage.Columns(a.Key, "key", at.Scope(0))
		if !revised && !diags.HasErrors() {
			return append(diags, config.Errorf(a.Key.Range(), "Nothing is revised", "key says what a revision revises, and %s has no column %s. Leave key out.", at.Inputs[0], revisionColumn)...)
		}
		o.shape.Key, o.shape.Revision = stage.Names(cols), revisionColumn
		return diags
	}
	if !revised {
		return nil
	}
	if len(in) > 1 {
		return config.Errorf(at.Range, "Which rows revise each other?", "Of several inputs, %d of which can be revised, the sink cannot tell. Write key = [device, window_start], or a sink for each.", len(in))
	}
	for _, f := range flow.UserFields(in[0]) {
		if f.Name == "window_end" {
			o.shape.Revision = revisionColumn
			return nil
		}
		o.shape.Key = append(o.shape.Key, f.Name)
	}
	return config.Errorf(at.Range, "Which rows revise each other?", "%s has a column %s, and no window_end, before which the columns of a window's key stand. Write key = [...] with the columns by which rows are the same.", at.Inputs[0], revisionColumn)
}

const revisionColumn = "revision"

var _ stage.Args = (*args)(nil)

func describe(o *options) string { return fmt.Sprintf("table %s in %s", o.table, o.place.Place) }
