package config

import (
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxStages limits the stages of all pipelines of a folder.
const maxStages = 10_000

// channelNames lists the channels, for references.
func (l *loader) channelNames() names {
	known := names{}
	for _, c := range l.cfg.Channels {
		known.add("channel", c.Name, c.Range)
	}
	return known
}

func isChannel(kind string) bool { return kind == "channel" }

func (l *loader) ingests(blocks []*hclsyntax.Block) {
	known := l.channelNames()
	first := names{}
	for _, b := range blocks {
		name := b.Labels[1]
		if at, twice := first.add("ingest", name, b.DefRange()); twice {
			l.duplicate("ingest."+name, b.LabelRanges[1], at)
			continue
		}
		block, attrs := l.header(b, "to", "enabled")
		if to := attrs["to"]; to != nil {
			block.To = l.ingestTo(to.Expr, known)
		} else if !l.isTorn(b.Range()) {
			hint := "channel.NAME"
			if len(l.cfg.Channels) > 0 {
				hint = "channel." + l.cfg.Channels[0].Name
			}
			l.fail(b.DefRange(), "Missing argument", "An ingest says which channel it feeds: to = %s", hint)
		}
		if from := b.Body.Attributes["from"]; from != nil {
			l.fail(from.NameRange, "Unsupported argument", "An ingest reads from the world; the channel it feeds is named by to = channel.NAME")
		}
		if !unread(b.Body) {
			l.cfg.Ingests = append(l.cfg.Ingests, block)
		}
	}
	sort.Slice(l.cfg.Ingests, func(i, j int) bool { return l.cfg.Ingests[i].Name < l.cfg.Ingests[j].Name })
}

func (l *loader) ingestTo(x hcl.Expression, known names) Ref {
	r, ok := l.ref(x, "to", known)
	switch {
	case !ok:
		return Ref{}
	case known.has(r):
		return r
	case isStageKind(r.Kind):
		l.fail(r.Range, "Not a channel", "An ingest feeds a channel, and pipelines read it from there; %s is a stage.%s", r, thereIs(known.addresses(anyName), ""))
	default:
		l.unknownRef(r, known, isChannel)
	}
	return Ref{}
}

func anyName(string, string) bool { return true }

// header reads what all stages and ingests have in common. The named
// attributes are taken out of the body.
func (l *loader) header(b *hclsyntax.Block, take ...string) (*Block, hcl.Attributes) {
	schema := &hcl.BodySchema{}
	for _, name := range take {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	if b.Type == "ingest" { // reported by the caller, so that no stage need know it
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: "from"})
	}
	content, rest, _ := b.Body.PartialContent(schema)
	block := &Block{Kind: b.Type, Name: b.Labels[len(b.Labels)-1], Enabled: true, Body: rest, Range: b.DefRange()}
	if len(b.Labels) == 2 {
		block.Type = b.Labels[0]
	}
	if a := content.Attributes["enabled"]; a != nil {
		v, diags := Value(a.Expr, l.cfg.Eval)
		l.add(diags)
		switch {
		case diags.HasErrors() || bad(v):
		case v.IsNull() || v.Type() != cty.Bool:
			l.fail(a.Expr.Range(), "Wrong type", "enabled takes a bool, such as var.url != \"\"; this is %s.", describe(v))
		default:
			block.Enabled = v.True()
		}
	}
	return block, content.Attributes
}

func (l *loader) pipelines(blocks []*hclsyntax.Block) {
	first := names{}
	for _, b := range blocks {
		if at, twice := first.add("pipeline", b.Labels[0], b.DefRange()); twice {
			l.duplicate("pipeline."+b.Labels[0], b.LabelRanges[0], at)
			continue
		}
		p := l.pipeline(b)
		if l.isTorn(b.Range()) {
			continue // half a pipeline would be complained of for its missing half
		}
		l.cfg.Pipelines = append(l.cfg.Pipelines, p)
	}
	sort.Slice(l.cfg.Pipelines, func(i, j int) bool { return l.cfg.Pipelines[i].Name < l.cfg.Pipelines[j].Name })
}

// pipelineReader is a pipeline block under way.
type pipelineReader struct {
	*loader
	p     *Pipeline
	block *hclsyntax.Block
	known names // stages of the pipeline, and all channels
	byRef map[string]*Block
	// froms are the expressions of `from`, for stages that have one.
	froms map[*Block]hcl.Expression
	// lost are stages that were not understood. They are left out of the pipeline: what
	// later phases would say of them, and of stages that read them, would only follow from that.
	lost map[*Block]bool
	// garbled are those of lost in which the value of some argument could not be parsed.
	garbled map[*Block]bool
}

func (l *loader) pipeline(b *hclsyntax.Block) *Pipeline {
	r := &pipelineReader{
		loader: l, block: b, known: l.channelNames(), byRef: map[string]*Block{}, froms: map[*Block]hcl.Expression{}, lost: map[*Block]bool{}, garbled: map[*Block]bool{},
		p: &Pipeline{Name: b.Labels[0], Range: b.DefRange()},
	}
	for _, s := range b.Body.Blocks {
		r.stage(s)
	}
	for _, a := range attributes(b.Body) {
		if a.Name != "from" && a.Name != "rejects" {
			l.fail(a.NameRange, "Unsupported argument", "An argument named %q is not expected here.%s", a.Name, pipelineHint(a.Name))
		}
	}
	r.from()
	r.rejects()
	for _, s := range r.p.Stages {
		r.stageFrom(s)
	}
	r.checkCycles()
	for _, s := range r.p.Stages {
		if r.lost[s] && !r.garbled[s] {
			r.p.Apart = append(r.p.Apart, s)
		}
	}
	r.p.Stages = slices.DeleteFunc(r.p.Stages, func(s *Block) bool { return r.lost[s] })
	return r.p
}

// unread says that the value of some argument in a body could not be parsed.
func unread(b *hclsyntax.Body) bool {
	for _, a := range b.Attributes {
		if _, broken := a.Expr.(*hclsyntax.ExprSyntaxError); broken {
			return true
		}
	}
	return slices.ContainsFunc(b.Blocks, func(inner *hclsyntax.Block) bool { return unread(inner.Body) })
}

func pipelineHint(name string) string {
	if isStageKind(name) {
		return " " + name + " is a block: write " + name + " ... { ... } without the equals sign."
	}
	return didYouMean(name, append(refKinds()[1:], "from", "rejects"), `"`)
}

// stage reads a stage's header.
func (r *pipelineReader) stage(b *hclsyntax.Block) {
	var labels []string
	known := false
	for _, k := range stageKinds {
		if k.kind == b.Type {
			labels, known = k.labels, true
		}
	}
	if !known {
		hint := didYouMean(b.Type, refKinds()[1:], "")
		if _, top := labelsOfTop(b.Type); top {
			hint = " It stands at the top of a file, outside of pipelines."
		}
		r.fail(b.TypeRange, "Unknown block", "There is no block %q in a pipeline.%s", b.Type, hint)
		return
	}
	if !r.labels(b, labels) {
		if len(b.Labels) > 0 { // known, so that references to it are not complained of too
			r.known.add(b.Type, b.Labels[len(b.Labels)-1], b.DefRange())
		}
		return
	}
	take := []string{"from", "enabled"}
	feeds := b.Type == "sink" && b.Labels[0] == feedType
	if feeds {
		take = append(take, "to")
	}
	s, attrs := r.header(b, take...)
	if feeds {
		r.feed(s, attrs["to"], b)
	}
	if first, twice := r.known.add(s.Kind, s.Name, s.Range); twice {
		r.duplicate(s.Address(), b.LabelRanges[len(labels)-1], first)
		return
	}
	if a := attrs["from"]; a != nil {
		r.froms[s] = a.Expr
	}
	if r.stages++; r.stages > maxStages {
		if r.stages == maxStages+1 {
			r.fail(s.Range, "Too many stages", "A folder may have %d stages.", maxStages)
		}
		return
	}
	if unread(b.Body) {
		r.lost[s], r.garbled[s] = true, true
	}
	r.byRef[s.Address()] = s
	r.p.Stages = append(r.p.Stages, s)
}

// feedType is the type of sink through which a pipeline feeds a channel.
const feedType = "channel"

// feed reads which channel a sink "channel" feeds.
func (r *pipelineReader) feed(s *Block, to *hcl.Attribute, b *hclsyntax.Block) {
	if to == nil {
		if !r.isTorn(b.Range()) {
			r.fail(b.DefRange(), "Missing argument", "A sink \"channel\" says which channel it feeds: to = channel.NAME")
			r.lost[s] = true
		}
		return
	}
	ref, ok := r.ref(to.Expr, "to", r.channelNames())
	switch {
	case !ok:
	case ref.Kind == "channel" && r.known.has(ref):
		s.To = ref
	case isStageKind(ref.Kind) && r.known.has(ref):
		r.fail(ref.Range, "Not a channel", "A sink \"channel\" feeds a channel; %s is a stage. A stage says itself what it reads.", ref)
	default:
		r.unknownRef(ref, r.channelNames(), isChannel)
	}
	r.lost[s] = r.lost[s] || s.To == (Ref{})
}

// from reads the pipeline's own from: one channel.
func (r *pipelineReader) from() {
	a := r.block.Body.Attributes["from"]
	if a == nil {
		if r.isTorn(r.block.Range()) {
			return
		}
		hint := "from = channel.NAME"
		if n := len(r.cfg.Channels); n > 0 {
			hint = "from = channel." + r.cfg.Channels[0].Name
		}
		r.fail(r.p.Range, "Missing argument", "A pipeline says which channel it reads: %s", hint)
		return
	}
	if tuple, ok := a.Expr.(*hclsyntax.TupleConsExpr); ok {
		r.fail(tuple.Range(), "Not a channel", "A pipeline reads one channel; write a pipeline for each.")
		return
	}
	ref, ok := r.ref(a.Expr, "from", r.channelNames())
	switch {
	case !ok:
	case ref.Kind == "channel" && r.known.has(ref):
		r.p.From = ref
	case ref.Kind != "channel" && r.known.has(ref):
		r.fail(ref.Range, "Not a channel", "A pipeline reads a channel; %s is a stage. Stages say themselves what they read.", ref)
	default:
		r.unknownRef(ref, r.channelNames(), isChannel)
	}
}

func isSink(kind string) bool { return kind == "sink" }

func (r *pipelineReader) rejects() {
	a := r.block.Body.Attributes["rejects"]
	if a == nil {
		return
	}
	ref, ok := r.ref(a.Expr, "rejects", r.known)
	switch {
	case !ok:
	case ref.Kind == "sink" && r.known.has(ref):
		r.p.Rejects = &ref
	case ref.Kind != "sink" && r.known.has(ref):
		r.fail(ref.Range, "Not a sink", "Rejected rows go to a sink; %s is none.%s", ref, thereIs(r.known.addresses(func(kind, _ string) bool { return isSink(kind) }), ""))
	default:
		r.unknownRef(ref, r.known, isSink)
	}
}

// stageFrom resolves what a stage reads.
func (r *pipelineReader) stageFrom(s *Block) {
	x, given := r.froms[s]
	if !given {
		isRejects := r.p.Rejects != nil && r.p.Rejects.String() == s.Address()
		if !isRejects && r.p.From != (Ref{}) {
			s.From = []Ref{r.p.From}
		}
		return
	}
	before := len(r.diags)
	for _, ref := range r.refs(x, "from", r.known) {
		switch {
		case ref.Kind == "sink" && r.known.has(ref):
			r.fail(ref.Range, "Sink as a source", "Nothing comes out of %s: it is a sink. Read what it reads instead.%s", ref, r.inputsOf(ref))
		case ref.Kind == "channel" && r.known.has(ref) && r.p.From != (Ref{}) && ref.Name != r.p.From.Name && !readsOthers(s.Kind):
			r.fail(ref.Range, "Another channel", "This pipeline reads %s. Write another pipeline for %s.", r.p.From, ref)
		case r.known.has(ref):
			s.From = append(s.From, ref)
		default:
			r.unknownRef(ref, r.known, func(kind string) bool { return kind != "sink" })
		}
	}
	r.lost[s] = r.lost[s] || len(r.diags) > before || len(s.From) == 0
}

// inputsOf says what a sink reads, as far as that was written.
func (r *pipelineReader) inputsOf(sink Ref) string {
	s := r.byRef[sink.String()]
	if s == nil {
		return ""
	}
	switch x := r.froms[s].(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return " It reads " + TraversalText(x.Traversal) + "."
	}
	return ""
}

// checkCycles reports every cycle once and takes the reference that closes it
// away, so that the graph that is left has an order.
func (r *pipelineReader) checkCycles() {
	const open, done = 1, 2
	state := map[*Block]int{}
	var path []*Block
	var visit func(s *Block)
	visit = func(s *Block) {
		state[s] = open
		path = append(path, s)
		kept := s.From[:0]
		for _, ref := range s.From {
			next := r.byRef[ref.String()]
			if next != nil && state[next] == open {
				r.reportCycle(path, next, ref)
				r.lost[s] = true
				continue
			}
			kept = append(kept, ref)
			if next != nil && state[next] == 0 {
				visit(next)
			}
		}
		s.From = kept
		path = path[:len(path)-1]
		state[s] = done
	}
	for _, s := range r.p.Stages {
		if state[s] == 0 {
			visit(s)
		}
	}
}

// reportCycle names a cycle in the direction in which rows would flow: each
// stage of path reads the one after it, and the last reads start.
func (r *pipelineReader) reportCycle(path []*Block, start *Block, closing Ref) {
	i := 0
	for path[i] != start {
		i++
	}
	cycle := []string{start.Address()}
	for j := len(path) - 1; j >= i; j-- {
		cycle = append(cycle, path[j].Address())
	}
	if len(cycle) == 2 {
		r.fail(closing.Range, "Cycle", "%s reads itself.", start.Address())
		return
	}
	for k, n := 0, len(cycle); k < n/2; k++ { // as written: each reads the next
		cycle[k], cycle[n-1-k] = cycle[n-1-k], cycle[k]
	}
	r.fail(closing.Range, "Cycle", "Rows would go round for ever: %s (each reads the next).", strings.Join(cycle, " -> "))
}
