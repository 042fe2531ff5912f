package config

import (
	"fmt"
	"sort"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// Errorf returns one error about what stands at a position. Summary is terse and
// the same for all mistakes of a kind; detail, with its arguments, says what was
// found and what would be right.
func Errorf(at hcl.Range, summary, detail string, args ...any) hcl.Diagnostics {
	return located(hcl.DiagError, at, summary, detail, args)
}

// Warnf is Errorf for what is allowed but hardly meant.
func Warnf(at hcl.Range, summary, detail string, args ...any) hcl.Diagnostics {
	return located(hcl.DiagWarning, at, summary, detail, args)
}

func located(severity hcl.DiagnosticSeverity, at hcl.Range, summary, detail string, args []any) hcl.Diagnostics {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	d := &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail}
	if at.End.Byte < at.Start.Byte { // of a call whose parenthesis is never closed the parser knows no end
		at.End = at.Start
	}
	if at != (hcl.Range{}) {
		d.Subject = &at
	}
	return hcl.Diagnostics{d}
}

// Sort orders diagnostics by file, line, column and text, and removes
// repetitions, in place. Those without a position come first.
func Sort(diags hcl.Diagnostics) hcl.Diagnostics {
	sort.SliceStable(diags, func(i, j int) bool { return compareDiags(diags[i], diags[j]) < 0 })
	kept := diags[:0]
	for i, d := range diags {
		if i > 0 && compareDiags(d, kept[len(kept)-1]) == 0 {
			continue
		}
		kept = append(kept, d)
	}
	return kept
}

func compareDiags(a, b *hcl.Diagnostic) int {
	ra, rb := subject(a), subject(b)
	if c := strings.Compare(ra.Filename, rb.Filename); c != 0 {
		return c
	}
	if c := ra.Start.Byte - rb.Start.Byte; c != 0 {
		return c
	}
	if c := int(a.Severity) - int(b.Severity); c != 0 {
		return c
	}
	if c := strings.Compare(a.Summary, b.Summary); c != 0 {
		return c
	}
	return strings.Compare(a.Detail, b.Detail)
}

func subject(d *hcl.Diagnostic) hcl.Range {
	if d.Subject == nil {
		return hcl.Range{}
	}
	return *d.Subject
}

// Nearest returns the candidate that name is most likely a slip of, or "" when
// none is close. Of equally close ones it returns the first in order of name.
func Nearest(name string, candidates []string) string {
	best, bestCost := "", len(name)/3+1
	if len(name) < 3 {
		bestCost = 1
	}
	lower := strings.ToLower(name)
	for _, c := range candidates {
		if c == "" || c == name {
			continue
		}
		cost := slip(lower, strings.ToLower(c))
		if cost < bestCost || cost == bestCost && best != "" && c < best {
			best, bestCost = c, cost
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	for _, c := range candidates {
		l := strings.ToLower(c)
		if len(c) >= 3 && c != name && (strings.HasPrefix(l, lower) || strings.HasPrefix(lower, l)) {
			if best == "" || c < best {
				best = c
			}
		}
	}
	return best
}

// slip is the Levenshtein distance, except that two letters that changed places,
// and a separator left out or put for another, count as little as one letter.
func slip(a, b string) int {
	if plain(a) == plain(b) {
		return 0
	}
	if len(a) == len(b) {
		i := 0
		for a[i] == b[i] {
			i++
		}
		if i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:] {
			return 1
		}
	}
	return levenshtein.Distance(a, b, nil)
}

// plain leaves separators away.
func plain(s string) string {
	if !strings.ContainsAny(s, "_- ") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, s)
}

// didYouMean is the end of a message about a name that is not known: the nearest
// one, or else all there are.
func didYouMean(name string, candidates []string, quote string) string {
	if near := Nearest(name, candidates); near != "" {
		return " Did you mean " + quote + near + quote + "?"
	}
	return thereIs(candidates, quote)
}

// thereIs lists what there is, within reason.
func thereIs(candidates []string, quote string) string {
	if len(candidates) == 0 {
		return ""
	}
	const most = 12
	sorted := append([]string(nil), candidates...)
	sort.Strings(sorted)
	rest := ""
	if len(sorted) > most {
		rest = fmt.Sprintf(" and %d more", len(sorted)-most)
		sorted = sorted[:most]
	}
	return " There is " + quote + strings.Join(sorted, quote+", "+quote) + quote + rest + "."
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// DidYouMean is the end of a message about a name that is not known: a hint at
// the nearest of the candidates, or else a list of them; "" when there are none.
func DidYouMean(name string, candidates []string) string { return didYouMean(name, candidates, `"`) }

// List names things in a row for a message: a, b, c.
func List(names []string) string { return strings.Join(names, ", ") }
