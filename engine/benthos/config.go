package benthos

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"gopkg.in/yaml.v3"

	"github.com/tidemill/tidemill/engine/config"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"   // inputs and outputs
	_ "github.com/redpanda-data/benthos/v4/public/components/pure" // brokers, batches, generators
)

// Kind is what a component is.
type Kind string

const (
	// Input brings messages in.
	Input Kind = "input"
	// Output takes messages out.
	Output Kind = "output"
)

// label is what the one resource of a Component is called.
const label = "tidemill"

// Parse checks the argument config of a component and returns it as YAML, for
// Open. Mistakes in a text are located by their lines.
func Parse(x hcl.Expression, ctx *hcl.EvalContext, kind Kind) (text string, diags hcl.Diagnostics) {
	v, diags := config.Value(x, ctx)
	if diags.HasErrors() {
		return "", diags
	}
	v, _ = v.UnmarkDeep()
	isText := false
	switch {
	case v.IsNull() || !v.IsWhollyKnown():
		return "", config.Errorf(x.Range(), "Not a configuration", "config takes the configuration of one Benthos %s, as YAML text or as an object.", kind)
	case v.Type() == cty.String:
		text, isText = v.AsString(), true
	case v.Type().IsObjectType():
		b, err := ctyjson.Marshal(v, v.Type())
		if err != nil {
			return "", config.Errorf(x.Range(), "Not a configuration", "This object cannot be written as YAML: %s.", err)
		}
		text = string(b)
	default:
		return "", config.Errorf(x.Range(), "Not a configuration", "config takes the configuration of one Benthos %s, as YAML text or as an object.", kind)
	}
	at := func(line, column int) hcl.Range {
		if isText {
			return lineOf(x.Range(), line, column)
		}
		return x.Range()
	}
	lints, err := linter().LintYAML(string(kind), []byte(text))
	if err != nil {
		return "", config.Errorf(at(yamlLine(err), 1), "Not YAML", "%s.", plain(err))
	}
	for _, l := range lints {
		diags = append(diags, config.Errorf(at(l.Line, l.Column), "Benthos does not take this", "%s", said(l, kind, text))...)
	}
	if diags.HasErrors() {
		return "", config.Sort(diags)
	}
	labelled, err := labelled(text)
	if err != nil {
		return "", config.Errorf(at(yamlLine(err), 1), "Not a configuration", "%s.", upper(plain(err)))
	}
	return labelled, nil
}

// goTypes are how a reader of YAML names what it would have taken.
var goTypes = strings.NewReplacer("!!str ", "", "!!int ", "", "!!seq ", "a list ", "!!map ", "an object ", "cannot unmarshal", "cannot take",
	"into map[string]interface {}", "as an object")

// plain is what a reader of YAML says, without where, which is told otherwise, and without types of Go.
func plain(err error) string {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, rest, found := strings.Cut(s, "unmarshal errors:"); found {
		s = strings.TrimSpace(rest)
		s, _, _ = strings.Cut(s, "\n")
		_, s, _ = strings.Cut(s, ": ")
		s, _, _ = strings.Cut(s, " at line ")
	}
	if line, rest, found := strings.Cut(s, ": "); found && strings.HasPrefix(line, "line ") {
		s = rest
	}
	return goTypes.Replace(s)
}

func linter() *service.ComponentConfigLinter {
	return service.GlobalEnvironment().NewComponentConfigLinter().SetEnvVarLookupFunc(noVariables)
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// lineOf is the place of a line of a text in the file: that of a heredoc begins
// in the line behind the marker. A text in quotes is one place.
func lineOf(r hcl.Range, line, column int) hcl.Range {
	if r.Start.Line == r.End.Line || line < 1 {
		return r
	}
	pos := hcl.Pos{Line: min(r.Start.Line+line, r.End.Line), Column: max(column, 1), Byte: r.Start.Byte}
	return hcl.Range{Filename: r.Filename, Start: pos, End: hcl.Pos{Line: pos.Line, Column: pos.Column + 1, Byte: pos.Byte}}
}

// yamlLine finds the line in a message such as "yaml: line 3: ...".
func yamlLine(err error) int {
	line := 0
	if _, rest, found := strings.Cut(err.Error(), "line "); found {
		_, _ = fmt.Sscanf(rest, "%d", &line) // 0 where there is none
	}
	return line
}

// said is a mistake with what would be right. Of an unknown component Benthos tells its name, but not whether an
// input or a processor is missing there: where text does not begin with it, it can be either.
func said(l service.Lint, kind Kind, text string) string {
	what := upper(strings.TrimSuffix(l.What, ".")) + "."
	if strings.Contains(l.What, "environment variables were not set") {
		return what + ` Benthos sees no environment here; HCL does: ${env("NAME")}.`
	}
	_, names, inferred := strings.Cut(l.What, "unable to infer component type: ")
	if !inferred && l.Type != service.LintComponentNotFound && l.Type != service.LintComponentMissing {
		return what
	}
	names = strings.Trim(names, "[]")
	if slices.Contains(strings.Fields(names), string(kind)) {
		return fmt.Sprintf("config takes one %s of Benthos, which is what stands below %q: there, and not all of its configuration. The %s may have processors of its own.", kind, kind, kind)
	}
	known := Components(kind)
	var doc map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || nested(doc, names) {
		if near := didYouMean(names, append(known, processors()...)); near != "" {
			return what + near
		}
		return fmt.Sprintf("%s Of %ss this version has: %s.", what, kind, strings.Join(known, ", "))
	}
	return what + didYouMean(names, known) + " This version has: " + strings.Join(known, ", ") + "."
}

// nested tells whether a name stands below the top of a document.
func nested(doc map[string]yaml.Node, names string) bool {
	first, _, _ := strings.Cut(names, " ")
	_, top := doc[first]
	return first != "" && !top
}

func didYouMean(name string, known []string) string {
	if near := config.Nearest(name, known); near != "" {
		return " Did you mean " + near + "?"
	}
	return ""
}

func processors() []string {
	var names []string
	service.GlobalEnvironment().WalkProcessors(func(name string, _ *service.ConfigView) { names = append(names, name) })
	sort.Strings(names)
	return names
}

// Components lists the components there are, sorted.
func Components(kind Kind) []string {
	var names []string
	note := func(name string, _ *service.ConfigView) { names = append(names, name) }
	if kind == Input {
		service.GlobalEnvironment().WalkInputs(note)
	} else {
		service.GlobalEnvironment().WalkOutputs(note)
	}
	sort.Strings(names)
	return names
}

// labelled gives the component the name by which Open finds it.
func labelled(text string) (string, error) {
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	if doc == nil {
		return "", errors.New("the configuration is empty")
	}
	doc["label"] = label
	out, err := yaml.Marshal(doc)
	return string(out), err
}
