package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// stageKinds are the blocks of a pipeline, and how many labels they have.
var stageKinds = [...]struct {
	kind   string
	labels []string
}{
	{"rule", []string{"name"}},
	{"alarm", []string{"name"}},
	{"window", []string{"type", "name"}},
	{"sink", []string{"type", "name"}},
	{"transform", []string{"type", "name"}},
	{"enrich", []string{"type", "name"}},
	{"anomaly", []string{"type", "name"}},
	{"join", []string{"type", "name"}},
	{"dedupe", []string{"name"}},
	{"order", []string{"name"}},
}

// readsOthers says that a kind of stage may read channels beside its pipeline's.
func readsOthers(kind string) bool { return kind == "join" || kind == "enrich" }

func isStageKind(kind string) bool {
	for _, k := range stageKinds {
		if k.kind == kind {
			return true
		}
	}
	return false
}

// refKinds are the first words that a reference may have.
func refKinds() []string {
	kinds := []string{"channel"}
	for _, k := range stageKinds {
		kinds = append(kinds, k.kind)
	}
	return kinds
}

// names says what can be referred to: names by kind.
type names map[string]map[string]hcl.Range

func (n names) add(kind, name string, at hcl.Range) (first hcl.Range, twice bool) {
	if n[kind] == nil {
		n[kind] = map[string]hcl.Range{}
	}
	if first, twice = n[kind][name]; !twice {
		n[kind][name] = at
	}
	return first, twice
}

func (n names) has(r Ref) bool {
	_, ok := n[r.Kind][r.Name]
	return ok
}

// addresses lists kind.name of all names for which keep is true, sorted.
func (n names) addresses(keep func(kind, name string) bool) []string {
	var all []string
	for _, kind := range sortedKeys(n) {
		for _, name := range sortedKeys(n[kind]) {
			if keep(kind, name) {
				all = append(all, kind+"."+name)
			}
		}
	}
	return all
}

// maxHints limits how often names are compared with all others, which takes
// their product in time, when a file is wrong throughout.
const maxHints = 100

// maxRefs limits a list of references.
const maxRefs = 1_000

// candidates is n.addresses as long as there have not been too many mistakes.
func (l *loader) candidates(n names, keep func(kind, name string) bool) []string {
	if l.hints++; l.hints > maxHints {
		return nil
	}
	return n.addresses(keep)
}

// ref reads one reference, such as rule.plausible. what names the argument in
// messages. known helps those who forgot the kind.
func (l *loader) ref(x hcl.Expression, what string, known names) (Ref, bool) {
	at := x.Range()
	switch x := x.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return l.traversalRef(x.Traversal, what, known)
	case *hclsyntax.TemplateExpr:
		if text, ok := literal(x); ok {
			l.fail(at, "Quotes around a reference", "A reference stands without quotes: %s = %s", what, l.unquotedRef(text, known))
			return Ref{}, false
		}
	case *hclsyntax.ExprSyntaxError:
		return Ref{}, false
	}
	l.fail(at, "Not a reference", "%s takes a reference without quotes, such as %s", what, refExample(what))
	return Ref{}, false
}

func refExample(what string) string {
	switch what {
	case "rejects":
		return "sink.quarantine"
	case "to":
		return "channel.telemetry"
	}
	return "rule.plausible"
}

// unquotedRef is the reference that was meant by a text in quotes.
func (l *loader) unquotedRef(text string, known names) string {
	if strings.Contains(text, ".") {
		return text
	}
	if all := l.candidates(known, func(_, name string) bool { return name == text }); len(all) > 0 {
		return all[0]
	}
	return "kind." + text + ", where kind is channel, rule, window, ..."
}

func (l *loader) traversalRef(t hcl.Traversal, what string, known names) (Ref, bool) {
	at := t.SourceRange()
	text := TraversalText(t)
	if len(t) == 1 {
		all := l.candidates(known, func(_, name string) bool { return name == text })
		hint := " Write kind.name, such as " + refExample(what) + "."
		if len(all) > 0 {
			hint = " Did you mean " + all[0] + "?"
		}
		l.fail(at, "Incomplete reference", "A reference has two parts, a kind and a name; %q is one.%s", text, hint)
		return Ref{}, false
	}
	attr, ok := t[1].(hcl.TraverseAttr)
	if !ok || len(t) > 2 {
		hint := ""
		if ok {
			hint = " Did you mean " + t.RootName() + "." + attr.Name + "?"
		}
		l.fail(at, "Not a reference", "A reference has two parts, a kind and a name; %s is something else.%s", text, hint)
		return Ref{}, false
	}
	return Ref{Kind: t.RootName(), Name: attr.Name, Range: at}, true
}

// refs reads a reference, or a list of them in which none stands twice.
func (l *loader) refs(x hcl.Expression, what string, known names) []Ref {
	tuple, isList := x.(*hclsyntax.TupleConsExpr)
	if !isList {
		if r, ok := l.ref(x, what, known); ok {
			return []Ref{r}
		}
		return nil
	}
	if len(tuple.Exprs) > maxRefs {
		l.fail(x.Range(), "Too many references", "%s may name %d.", what, maxRefs)
		return nil
	}
	if len(tuple.Exprs) == 0 {
		l.fail(x.Range(), "Empty list", "%s names at least one stage or channel. Leave it away to read the pipeline's channel.", what)
	}
	var refs []Ref
	for _, item := range tuple.Exprs {
		r, ok := l.ref(item, what, known)
		if !ok {
			continue
		}
		twice := false
		for _, other := range refs {
			twice = twice || other.String() == r.String()
		}
		if twice {
			l.fail(r.Range, "Duplicate reference", "%s stands in this list already.", r)
			continue
		}
		refs = append(refs, r)
	}
	return refs
}

// unknownRef reports a reference to nothing. fits says which kinds may stand here.
func (l *loader) unknownRef(r Ref, known names, fits func(kind string) bool) {
	if len(l.torn) > 0 {
		return // what is missing may stand where the parser gave up
	}
	if !isStageKind(r.Kind) && r.Kind != "channel" {
		hint := didYouMean(r.Kind, refKinds(), "")
		if near := Nearest(r.Kind, refKinds()); near != "" {
			hint = " Did you mean " + near + "." + r.Name + "?"
		}
		l.fail(r.Range, "Unknown reference", "There is nothing of kind %q.%s", r.Kind, hint)
		return
	}
	elsewhere, near, alike := "", "", []string(nil)
	all := l.candidates(known, func(kind, _ string) bool { return fits(kind) })
	for _, address := range all {
		if kind, name, _ := strings.Cut(address, "."); name == r.Name && elsewhere == "" {
			elsewhere = address
		} else if kind == r.Kind {
			alike = append(alike, name)
		}
	}
	if name := Nearest(r.Name, alike); name != "" {
		near = r.Kind + "." + name
	}
	switch {
	case elsewhere != "":
		l.fail(r.Range, "Unknown reference", "There is no %s. Did you mean %s?", r, elsewhere)
	case near != "":
		l.fail(r.Range, "Unknown reference", "There is no %s. Did you mean %s?", r, near)
	default:
		l.fail(r.Range, "Unknown reference", "There is no %s.%s", r, thereIs(all, ""))
	}
}
