package window

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// maxKept limits the rows that a task keeps for windows over the latest revisions, and for state windows that revise.
const maxKept = 1 << 24

// What max_rows of a state window may be.
const (
	minKeptOfKey = 16
	maxKeptOfKey = 1_000_000
)

// wordsOfRevisions are the values of the argument revisions.
func wordsOfRevisions() []string { return []string{"first", "latest"} }

// bindRevisions finds out which revisions of its rows a window counts.
func (s *settings) bindRevisions(p *program, at *stage.At) hcl.Diagnostics {
	in := at.RevisedAt(0)
	switch {
	case s.revisions != "" && !slices.Contains(wordsOfRevisions(), s.revisions):
		return config.Errorf(s.revisionsRange, "Unknown way with revised rows", "revisions is %q.%s", s.revisions, stage.Suggest(s.revisions, wordsOfRevisions()))
	case s.revisions == "latest" && s.kind != tumbling && s.kind != sliding:
		return config.Errorf(s.revisionsRange, "Not for this kind of window",
			"A window %q takes the first revision of each row; tumbling and sliding windows can take the latest.", s.name())
	case in == nil:
		return nil // no row comes twice
	case s.revisions == "latest":
		return s.bindLatest(p, in, at)
	case s.revisions == "" && strings.HasPrefix(at.Inputs[0], "channel."):
		return config.Errorf(at.Range, "A window over revised rows", "Rows of %s may come again with another revision, and it is not said which of them count. %s", at.Inputs[0], s.advise(in))
	}
	return nil
}

// name is how the kind of window is written.
func (s *settings) name() string {
	return [...]string{"tumbling", "sliding", "session", "count", "state"}[s.kind]
}

// advise tells what the author can do where revisions come.
func (s *settings) advise(in *stage.Revised) string {
	first := "revisions = \"first\" here counts the first of each, so that what comes late changes nothing; late = \"drop\" or \"side\" and a longer grace, in the window from which they come, makes one of each"
	switch {
	case s.kind != tumbling && s.kind != sliding:
		return first + ". Tumbling and sliding windows can also take the latest."
	case in.By == nil:
		return first + ". revisions = \"latest\" cannot be had here: " + in.Why + "."
	}
	return "Write revisions = \"latest\": a revised row takes the place of the one before. Or else: " + first + "."
}

// bindLatest checks that a revised row can take the place of the one that it revises.
func (s *settings) bindLatest(p *program, in *stage.Revised, at *stage.At) hcl.Diagnostics {
	if in.By == nil {
		return config.Errorf(s.revisionsRange, "Revisions that cannot be told apart",
			"%s. Write revisions = \"first\", or late = \"drop\" or \"side\" and a longer grace in the window from which the rows come.", in.Why)
	}
	var diags hcl.Diagnostics
	show := func(us int64) string { return time.Duration(us * int64(time.Microsecond)).String() }
	for _, c := range p.by {
		if !slices.Contains(in.Fixed, c.Name) {
			diags = append(diags, config.Errorf(c.At, "A key that a revision may change",
				"A revised row takes the place of the one before, and %s could be another in it. With revisions = \"latest\", by takes columns that stay: %s.", c.Name, strings.Join(in.Fixed, ", "))...)
		}
	}
	if s.late == "revise" && p.grace+p.keep < in.Keep {
		diags = append(diags, config.Warnf(s.lateOr(s.revisionsRange), "Revisions that come too late",
			"Rows of %s are revised for up to %s behind their time, and windows here for %s behind their end: later ones are counted (late_expired) and change nothing. Write keep = %q.",
			at.Inputs[0], show(in.Keep), show(p.grace+p.keep), show(in.Keep-p.grace))...)
	}
	p.groupWords = groupTimesLong
	p.latest, p.same, p.rowsEvery = true, in.By, in.Every
	p.hold = max(p.keep, in.Keep)
	return diags
}

func (s *settings) lateOr(other hcl.Range) hcl.Range {
	if s.lateRange.Filename != "" {
		return s.lateRange
	}
	return other
}

// keptTable declares the rows that a window over the latest revisions keeps, see latest.go.
func (p *program) keptTable(digest string) state.Decl {
	d := state.Decl{Name: "rows", Digest: digest, MaxKeys: maxKept, BytesPlanned: 9*len(p.args) + 1, Columns: []state.Column{
		{Name: "time", Type: state.I64}, {Name: "links", Type: state.U32, Width: keptLinks}, {Name: "values", Type: state.Bytes},
	}}
	perPane := 1.0
	if p.rowsEvery > 0 {
		perPane = max(1, float64(p.every)/float64(p.rowsEvery))
	}
	d.KeysPlanned = int(min(perPane*p.panesOfKey()*10_000, maxKept))
	return d
}
