package wasm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// ABI is the version of the ABI that is offered; sdk/ABI.md describes it.
const ABI = 1

// Limits of a module and its manifest, from the ABI.
const (
	MaxModuleBytes   = 16 << 20
	maxManifestBytes = 64 << 10
	maxColumns       = 256
	maxStateColumns  = 64
	maxStateBytes    = 4096
	maxRowsOut       = 1024
	maxNameBytes     = 255
	sectionName      = "tidemill.manifest"
)

// Kinds of plugins.
const (
	Enrich    = "enrich"
	Score     = "score"
	Transform = "transform"
	Decode    = "decode"
)

// Manifest is what a plugin says of itself. It is immutable once read.
type Manifest struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	ABI     int      `json:"abi"`
	Kind    string   `json:"kind"`
	Help    string   `json:"help,omitempty"`
	Reads   []Column `json:"reads,omitempty"`
	Writes  []Column `json:"writes,omitempty"`
	State   *State   `json:"state,omitempty"`
	Config  []Option `json:"config,omitempty"`
	Calls   []string `json:"calls,omitempty"`
	Grants  []string `json:"grants,omitempty"`
	Passes  bool     `json:"passes,omitempty"`
	MaxRows int      `json:"max_rows,omitempty"`
}

// Column is a column that a plugin reads or writes, or keeps as state.
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // number, integer, bool, timestamp, string, bytes
	Required bool   `json:"required,omitempty"`
	Nullable bool   `json:"nullable,omitempty"`
	Max      int    `json:"max,omitempty"` // bytes in state
	Help     string `json:"help,omitempty"`
}

// State is what a plugin keeps for each key.
type State struct {
	Version int      `json:"version"`
	Columns []Column `json:"columns"`
	From    []State  `json:"from,omitempty"`
}

// Option is an argument of a plugin.
type Option struct {
	Name     string          `json:"name"`
	Type     string          `json:"type"` // string, number, integer, bool, json
	Required bool            `json:"required,omitempty"`
	Default  json.RawMessage `json:"default,omitempty"`
	Help     string          `json:"help,omitempty"`
}

// ErrManifest is wrapped by every error about a manifest.
var ErrManifest = errors.New("manifest")

// Digest names a module: the SHA-256 of its bytes, as "sha256:" and 64 hex digits.
func Digest(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ReadManifest finds the manifest in a module. It has no effects and takes little time.
func ReadManifest(module []byte) (*Manifest, error) {
	if len(module) > MaxModuleBytes {
		return nil, fmt.Errorf("the module has %d bytes; at most %d are allowed", len(module), MaxModuleBytes)
	}
	m, err := meter.Read(module, meter.Limits{})
	if err != nil {
		return nil, err
	}
	return manifestOf(m)
}

func manifestOf(m *meter.Module) (*Manifest, error) {
	var found [][]byte
	for _, c := range m.Customs {
		if c.Name == sectionName {
			found = append(found, c.Data)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: the module has no section %s; tidemill plugin build puts one in", ErrManifest, sectionName)
	case 1:
		return ParseManifest(found[0])
	}
	return nil, fmt.Errorf("%w: the module has %d sections %s; it may have one", ErrManifest, len(found), sectionName)
}

// Attach returns the module with a manifest in it, in place of what it had. The text is checked.
func Attach(module, manifest []byte) ([]byte, error) {
	if _, err := ParseManifest(manifest); err != nil {
		return nil, err
	}
	return meter.SetCustom(module, sectionName, manifest)
}

// ParseManifest reads a manifest and checks it. Defaults are filled in. All mistakes are told at once.
func ParseManifest(text []byte) (*Manifest, error) {
	if len(text) > maxManifestBytes {
		return nil, fmt.Errorf("%w: it has %d bytes; at most %d are allowed", ErrManifest, len(text), maxManifestBytes)
	}
	if err := checkMembers(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, plainJSON(err))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	m := &Manifest{}
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, plainJSON(err))
	}
	if m.MaxRows == 0 {
		m.MaxRows = 1
	}
	if m.Kind == Enrich || m.Kind == Score {
		m.Passes = true
	}
	c := &manifestCheck{m: m}
	c.all()
	if len(c.errs) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrManifest, errors.Join(c.errs...))
	}
	return m, nil
}

// plainJSON says what is wrong without the names of Go's types.
func plainJSON(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Errorf("%s cannot be a %s", typ.Field, typ.Value)
	}
	if bad := (*json.SyntaxError)(nil); errors.As(err, &bad) {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// checkMembers refuses what encoding/json lets pass: a member given twice, and text behind the end.
func checkMembers(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // of each object; nil for an array
	name := false              // a member's name comes next
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(open) == 0 && tok != json.Delim('{') {
			return errors.New("it is one JSON object, and nothing behind it")
		}
		switch t := tok.(type) {
		case json.Delim:
			switch {
			case t == '{' || t == '[':
				if len(open) == 0 && len(bytes.TrimSpace(text[:d.InputOffset()-1])) > 0 {
					return errors.New("it is one JSON object, and nothing behind it")
				}
				if len(open) > 100 {
					return errors.New("it nests too deeply")
				}
				open = append(open, nil)
				if t == '{' {
					open[len(open)-1] = map[string]bool{}
				}
			default:
				open = open[:len(open)-1]
			}
		case string:
			if name {
				if open[len(open)-1][t] {
					return fmt.Errorf("%q stands twice", t)
				}
				open[len(open)-1][t] = true
				name = false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// manifestCheck gathers what is wrong with a manifest.
type manifestCheck struct {
	m    *Manifest
	errs []error
}

func (c *manifestCheck) fail(format string, args ...any) {
	if len(c.errs) < 20 {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

var (
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]{1,64})?(\+[0-9A-Za-z.-]{1,64})?$`)
)

func (c *manifestCheck) all() {
	m := c.m
	if !namePattern.MatchString(m.Name) {
		c.fail("name is %q; it takes small letters, digits and _, a letter first, at most 64", m.Name)
	}
	if !versionPattern.MatchString(m.Version) {
		c.fail("version is %q; it takes one such as 1.2.0 (semver.org)", m.Version)
	}
	if m.ABI != ABI {
		c.fail("abi is %d; this engine offers %d", m.ABI, ABI)
	}
	if !slices.Contains([]string{Enrich, Score, Transform, Decode}, m.Kind) {
		c.fail("kind is %q; there is enrich, score, transform and decode", m.Kind)
	}
	c.columns("reads", m.Reads, maxColumns)
	c.columns("writes", m.Writes, maxColumns)
	c.kinds()
	if m.State != nil {
		c.state(m.State, true)
	}
	seen := map[string]bool{}
	for _, o := range m.Config {
		c.option(o, seen)
	}
	c.oneOf("calls", m.Calls, []string{"log", "config", "fail", "clock", "random"})
	c.oneOf("grants", m.Grants, []string{"clock", "random"})
}

func (c *manifestCheck) oneOf(what string, have, known []string) {
	for i, name := range have {
		if !slices.Contains(known, name) || slices.Contains(have[:i], name) {
			c.fail("%s has %q; it takes %q, each once", what, name, known)
		}
	}
}

func (c *manifestCheck) columns(what string, cols []Column, most int) {
	if len(cols) > most {
		c.fail("%s has %d columns; at most %d are allowed", what, len(cols), most)
	}
	seen := map[string]bool{}
	for _, col := range cols {
		_, known := typeOf(col.Type)
		switch {
		case col.Name == "" || len(col.Name) > maxNameBytes:
			c.fail("%s has a column with a name of %d bytes; 1 to %d are allowed", what, len(col.Name), maxNameBytes)
		case seen[col.Name]:
			c.fail("%s has %s twice", what, col.Name)
		case !known:
			c.fail("%s: %s has type %q; there is number, integer, bool, timestamp, string and bytes", what, col.Name, col.Type)
		case col.Name[0] == '_' && (what != "reads" || metaType(col.Name) != col.Type):
			c.fail("%s: the engine has no column %s of type %s here; _time and _received (timestamp) and _offset (integer) can be read", what, col.Name, col.Type)
		case col.Type == "bytes" && what == "writes":
			c.fail("writes: %s has type bytes, which is for state and for payloads", col.Name)
		case col.Max != 0 && what != "state":
			c.fail("%s: %s has max, which is for bytes in state", what, col.Name)
		}
		seen[col.Name] = true
	}
}

// metaType is the type of a column of the engine's own; "" when it cannot be read.
func metaType(name string) string {
	switch name {
	case "_time", "_received":
		return "timestamp"
	case "_offset":
		return "integer"
	}
	return ""
}

func (c *manifestCheck) kinds() {
	m := c.m
	if m.MaxRows < 1 || m.MaxRows > maxRowsOut {
		c.fail("max_rows is %d; 1 to %d are allowed", m.MaxRows, maxRowsOut)
	}
	switch m.Kind {
	case Enrich:
		if len(m.Writes) == 0 {
			c.fail("an enrich plugin writes a column at least")
		}
		fallthrough
	case Score:
		if m.MaxRows != 1 {
			c.fail("max_rows is for transform and decode")
		}
		if m.Kind == Score && (len(m.Writes) != 1 || m.Writes[0].Type != "number") {
			c.fail("a score plugin writes one column of type number")
		}
	case Decode:
		if m.State != nil || m.Passes {
			c.fail("a decode plugin has neither state nor passes")
		}
		if len(m.Reads) != 2 || m.Reads[0].Name != "payload" || m.Reads[0].Type != "bytes" || m.Reads[1].Name != "topic" || m.Reads[1].Type != "string" {
			c.fail("a decode plugin reads payload (bytes) and topic (string), in this order")
		}
	}
}

func (c *manifestCheck) state(s *State, newest bool) {
	if s.Version < 1 || s.Version > 65_535 {
		c.fail("state has version %d; 1 to 65535 are allowed", s.Version)
	}
	if len(s.Columns) == 0 {
		c.fail("state of version %d has no columns", s.Version)
	}
	c.columns("state", s.Columns, maxStateColumns)
	for _, col := range s.Columns {
		switch {
		case col.Type != "number" && col.Type != "integer" && col.Type != "bytes":
			c.fail("state: %s has type %q; state takes number, integer and bytes", col.Name, col.Type)
		case col.Type == "bytes" && (col.Max < 1 || col.Max > maxStateBytes):
			c.fail("state: %s has max = %d; bytes take 1 to %d", col.Name, col.Max, maxStateBytes)
		case col.Type != "bytes" && col.Max != 0:
			c.fail("state: %s has max, which is for bytes", col.Name)
		}
	}
	if !newest && len(s.From) > 0 {
		c.fail("state of version %d has versions of its own; all of them stand in the newest", s.Version)
		return
	}
	seen := map[int]bool{s.Version: true}
	for i := range s.From {
		if seen[s.From[i].Version] {
			c.fail("state has version %d twice", s.From[i].Version)
		}
		seen[s.From[i].Version] = true
		c.state(&s.From[i], false)
	}
}

// Fields are the columns that a plugin writes, as the engine has them.
func (m *Manifest) Fields() []arrow.Field {
	fields := make([]arrow.Field, len(m.Writes))
	for i, c := range m.Writes {
		t, _ := typeOf(c.Type)
		fields[i] = arrow.Field{Name: c.Name, Type: t.arrow(), Nullable: true}
	}
	return fields
}

// Arrow is the column's type in the engine.
func (c Column) Arrow() arrow.DataType {
	t, ok := typeOf(c.Type)
	if !ok {
		panic("BUG: a manifest was not checked")
	}
	return t.arrow()
}

// Takes says whether a column of the engine can be read as this one: it has the type, or is an
// integer for a number, or a string for bytes.
func (c Column) Takes(have arrow.DataType) bool {
	switch want := c.Arrow(); want.ID() {
	case arrow.FLOAT64:
		return have.ID() == arrow.FLOAT64 || have.ID() == arrow.INT64
	case arrow.BINARY:
		return have.ID() == arrow.BINARY || have.ID() == arrow.STRING
	default:
		return arrow.TypeEqual(want, have)
	}
}

// columnType is a type of the ABI.
type columnType uint8

const (
	number columnType = iota
	integer
	boolean
	timestamp
	text
	raw
)

func typeOf(name string) (columnType, bool) {
	i := slices.Index([]string{"number", "integer", "bool", "timestamp", "string", "bytes"}, name)
	return columnType(max(i, 0)), i >= 0
}

func (t columnType) format() string { return [...]string{"g", "l", "b", "tsu:UTC", "u", "z"}[t] }

func (t columnType) arrow() arrow.DataType {
	return [...]arrow.DataType{arrow.PrimitiveTypes.Float64, arrow.PrimitiveTypes.Int64, arrow.FixedWidthTypes.Boolean, flow.Timestamp, arrow.BinaryTypes.String, arrow.BinaryTypes.Binary}[t]
}
