package transformwasm

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
)

var _ stage.Decider = (*transform)(nil)

// lane is where rows go that the book gives the same version.
type lane struct {
	*running        // nil: problem says why its rows are rejected
	problem  string // likewise, where the module is quarantined
	side     *rollout.Side
	// shadow runs beside, on the same rows; what it gives is compared and discarded.
	shadow *lane
	trial  *rollout.Meter
}

// rule is a rollout as the stage follows it.
type rule struct {
	*rollout.Rollout
	where  *selector // nil: all devices
	stable *lane
	trial  *lane // nil: there is no trial
}

// Decide see stage.Decider.
func (t *transform) Decide(b *rollout.Book, devices *device.Table) error {
	t.devices = devices
	if t.book != nil && t.book.Seq == b.Seq {
		return nil
	}
	if t.book != nil {
		t.endTrials(b)
	}
	t.book, t.rules = b, nil
	name := t.b.block.Name
	used := map[*running]bool{}
	digest, assigned := t.ownDigest(b), b.Of(name)
	if slices.Contains(t.o.Own, name) {
		digest, assigned = t.b.block.Digest, nil
	}
	t.base = t.lane(digest, mainPlace, used)
	for _, r := range assigned {
		x := &rule{Rollout: r, stable: t.base}
		if r.Stable != "" {
			x.stable = t.lane(r.Stable, mainPlace, used)
		}
		sel, err := t.b.selector(r.Where)
		if err != nil {
			t.report(fmt.Sprintf("rollout.%s chooses no device: %v", r.Name, err))
			continue
		}
		x.where = sel
		t.onTrial(x, used)
		t.rules = append(t.rules, x)
	}
	for key, g := range t.guests {
		if used[g] || key == (guestKey{t.b.block.Digest, mainPlace}) {
			continue
		}
		delete(t.guests, key)
		if err := g.close(); err != nil {
			return err
		}
	}
	return nil
}

// ownDigest is what runs where no rollout says otherwise: what the book says, as long as it fits what the
// plugin block's module writes.
func (t *transform) ownDigest(b *rollout.Book) string {
	digest := b.Base(t.b.block.Name)
	if digest == "" || digest == t.b.block.Digest || t.o.Modules == nil {
		return t.b.block.Digest
	}
	if v := t.b.a.plugins.kept(digest); v != nil {
		if _, err := t.b.bindVersion(v); err != nil {
			return t.b.block.Digest
		}
		return digest
	}
	module, err := t.o.Modules(digest)
	if err != nil {
		return t.b.block.Digest
	}
	if _, err := t.b.version(module); err != nil {
		return t.b.block.Digest
	}
	return digest
}

func (t *transform) report(line string) {
	if t.o.Report != nil {
		t.o.Report(t.o.Address + ": " + line)
	}
}

// lane finds or starts the version of a place. Rows of one that cannot run are rejected, with the reason: a
// replay must not go on with another.
func (t *transform) lane(digest string, place int, used map[*running]bool) *lane {
	if cause := t.book.Cause(digest); cause != "" {
		return &lane{problem: "it is quarantined: " + cause}
	}
	v, err := t.known(digest)
	if err == nil {
		var g *running
		if g, err = t.guest(v, place); err == nil {
			used[g] = true
			return &lane{running: g}
		}
	}
	t.report(fmt.Sprintf("%s cannot run: %v", digest, err))
	return &lane{problem: err.Error()}
}

// known finds a version, bound.
func (t *transform) known(digest string) (*version, error) {
	for _, g := range t.guests {
		if g.digest == digest {
			return g.version, nil
		}
	}
	if v := t.b.a.plugins.kept(digest); v != nil {
		return t.b.bindVersion(v)
	}
	module := t.b.block.Module
	if digest != t.b.block.Digest {
		if t.o.Modules == nil {
			return nil, fmt.Errorf("there is no store of modules")
		}
		var err error
		if module, err = t.o.Modules(digest); err != nil {
			return nil, err
		}
	}
	return t.b.version(module)
}

func (t *transform) onTrial(x *rule, used map[*running]bool) {
	r := x.Trial
	if r == nil {
		return
	}
	canary := t.lane(r.Canary, r.Place, used)
	if t.o.Trials == nil {
		t.o.Trials = rollout.NewMeters()
	}
	m := t.o.Trials.Of(r.N)
	canary.side, canary.trial = &m.Canary, m
	stable := *x.stable
	stable.side = &m.Stable
	x.trial = canary
	if r.Shadow {
		both := stable
		both.shadow, both.trial = canary, m
		x.trial = &both
		return
	}
	x.stable = &stable
}

// endTrials moves the state of trials that the next book knows no more, and forgets it where they did not
// become stable.
func (t *transform) endTrials(next *rollout.Book) {
	for _, r := range t.book.Of(t.b.block.Name) {
		if r.Trial == nil {
			continue
		}
		now := next.Rollout(r.Name)
		switch {
		case now != nil && now.Trial != nil && now.Trial.N == r.Trial.N:
			// It goes on, in shadow or in more devices.
			if now.Trial.Shadow != r.Trial.Shadow {
				t.clear(r.Trial.Place)
			}
		case now != nil && now.Promoted == r.Trial.N:
			t.promote(r.Trial.Place)
		default:
			t.clear(r.Trial.Place)
		}
		for key, g := range t.guests {
			if key.place == r.Trial.Place && (now == nil || now.Trial == nil || now.Trial.N != r.Trial.N) {
				delete(t.guests, key)
				_ = g.close() // the pool keeps the code; nothing is lost
			}
		}
	}
}

// selector chooses the devices of a fleet.
type selector struct {
	prog       *expr.Program
	schema     *arrow.Schema
	attributes []string
}

const registry = "registry"

// selector compiles a fleet's selector; nil for all devices.
func (b *binder) selector(where string) (*selector, error) {
	if where == "" {
		return nil, nil
	}
	x, diags := hclsyntax.ParseExpression([]byte(where), "selector", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("the fleet's selector: %s", diags[0].Detail)
	}
	s, diags := b.compile(x)
	if diags.HasErrors() {
		return nil, fmt.Errorf("the fleet's selector: %s", diags[0].Detail)
	}
	return s, nil
}

// compile reads a selector over the columns that the stage reads, and the registry.
func (b *binder) compile(x hclsyntax.Expression) (*selector, hcl.Diagnostics) {
	s := &selector{}
	fields := append([]arrow.Field{}, b.in.Fields()...)
	seen := map[string]bool{}
	for _, v := range x.Variables() {
		a, ok := hcl.TraverseAttr{}, len(v) == 2 && v.RootName() == registry
		if ok {
			a, ok = v[1].(hcl.TraverseAttr)
		}
		if !ok {
			if b.meansRegistry(v) {
				return nil, config.Errorf(v.SourceRange(), "Unknown name", "What the registry says of a device is called registry.NAME, such as registry.site == \"lab\".")
			}
			continue
		}
		if !seen[a.Name] {
			seen[a.Name] = true
			s.attributes = append(s.attributes, a.Name)
			fields = append(fields, arrow.Field{Name: registry + "." + a.Name, Type: arrow.BinaryTypes.String, Nullable: true})
		}
	}
	if len(s.attributes) > 0 && b.deviceColumn() == "" {
		return nil, config.Errorf(x.Range(), "No device", "The rows of %s have no column of the channel's key, and none called device: what the registry says of their devices is not known.", b.at.Address)
	}
	s.schema = arrow.NewSchema(fields, nil)
	scope := *b.scope
	scope.Schema, scope.Infer = s.schema, nil
	scope.What = "a fleet's devices"
	prog, diags := expr.CompileAs(x, &scope, arrow.FixedWidthTypes.Boolean, "where")
	if diags.HasErrors() {
		return nil, diags
	}
	s.prog = prog
	return s, nil
}

// meansRegistry tells whether what is no column was meant for an attribute of the registry.
func (b *binder) meansRegistry(v hcl.Traversal) bool {
	root := v.RootName()
	if b.in.HasField(root) || b.in.HasField(config.TraversalText(v)) {
		return false
	}
	return root == registry || len(v) > 1 && config.Nearest(root, []string{registry}) == registry
}

// deviceColumn is the column that says which device a row is of; "" when there is none.
func (b *binder) deviceColumn() string {
	if key := b.at.Keys[0]; key != "" {
		return key
	}
	if b.in.HasField("device") {
		return "device"
	}
	if b.a.decodes {
		return decode.RawTopic
	}
	return ""
}

// choose appends to sel the rows of the fleet's devices.
func (s *selector) choose(t *transform, rows arrow.RecordBatch, sel []int32) []int32 {
	if len(s.attributes) == 0 {
		return s.prog.Select(rows, sel)
	}
	n := int(rows.NumRows())
	cols := make([]arrow.Array, 0, len(s.schema.Fields()))
	for _, f := range s.schema.Fields()[:len(s.schema.Fields())-len(s.attributes)] {
		if c := columnOf(rows, f.Name); c != nil {
			c.Retain()
			cols = append(cols, c)
			continue
		}
		cols = append(cols, array.MakeArrayOfNull(t.o.Alloc, f.Type, n))
	}
	devices := columnOf(rows, t.b.deviceColumn())
	for _, name := range s.attributes {
		values := make([][]byte, n)
		var id []byte
		for i := range values {
			if devices == nil {
				break
			}
			id = deviceOf(devices, i, id)
			if v, ok := t.devices.Attribute(id, name); ok {
				values[i] = append([]byte{}, v...)
			}
		}
		cols = append(cols, stage.Texts(values, t.o.Alloc))
	}
	all := array.NewRecordBatch(s.schema, cols, int64(n))
	defer all.Release()
	release(cols)
	return s.prog.Select(all, sel)
}

// deviceOf is the id of a row's device; it may be in buf.
func deviceOf(c arrow.Array, row int, buf []byte) []byte {
	if s, ok := c.(*array.String); ok {
		if s.IsNull(row) {
			return buf[:0]
		}
		return append(buf[:0], s.Value(row)...)
	}
	return flow.AppendKey(buf[:0], c, row)
}
