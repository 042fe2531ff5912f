package config

import (
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Clock says what is done about devices whose clocks are wrong. The zero Clock keeps every event time.
type Clock struct {
	// Correct adds to event times what the device's clock is behind: the median of receive time less event
	// time, where that is more than Tolerance.
	Correct   bool
	Tolerance time.Duration
	// Behind is how far event time may be behind receive time; 0: without end. Channel.Ahead is the other side.
	Behind       time.Duration
	Future, Past ClockRule
}

// ClockRule is what becomes of a row whose event time, after correction, is too far from its receive time.
type ClockRule uint8

const (
	KeepTime    ClockRule = iota // the row keeps its event time
	ReceiveTime                  // its receive time is its event time
	RejectTime                   // the row is rejected
)

// Any tells whether event times may change, or rows be rejected for them.
func (c *Clock) Any() bool { return *c != Clock{} }

func (r ClockRule) String() string { return clockRules()[r] }

func clockRules() []string { return []string{"keep", "receive", "reject"} }

const (
	clockTolerance = 10 * time.Second
	maxTolerance   = 24 * time.Hour
	maxBehind      = 100 * 365 * 24 * time.Hour
)

type clockArgs struct {
	CorrectSkew bool     `hcl:"correct_skew,optional"`
	Tolerance   Duration `hcl:"tolerance,optional"`
	Behind      Duration `hcl:"behind,optional"`
	FarFuture   string   `hcl:"far_future,optional"`
	FarPast     string   `hcl:"far_past,optional"`
}

// clock reads the block of that name in a channel's body.
func (l *loader) clock(body *hclsyntax.Body, args *clockArgs, c *Channel) {
	at := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "clock" })
	if args == nil || at < 0 {
		return
	}
	b := body.Blocks[at]
	if body.Attributes["time"] == nil {
		l.fail(b.DefRange(), "No clock to judge", "Event time is receive time where a channel has no time argument. Name the column that has the device's time, such as time = ts.")
	}
	l.checkDuration(b.Body, "tolerance", args.Tolerance, time.Second, maxTolerance)
	l.checkDuration(b.Body, "behind", args.Behind, time.Second, maxBehind)
	c.Clock = Clock{Correct: args.CorrectSkew, Tolerance: args.Tolerance.Length(), Behind: args.Behind.Length(),
		Future: l.clockRule(b.Body, "far_future", args.FarFuture), Past: l.clockRule(b.Body, "far_past", args.FarPast)}
	given := func(name string) bool { return b.Body.Attributes[name] != nil }
	switch {
	case !c.Clock.Correct && given("tolerance"):
		l.fail(b.Body.Attributes["tolerance"].Range(), "Nothing to tolerate", "tolerance is for correct_skew = true.")
	case c.Clock.Correct && !given("tolerance"):
		c.Clock.Tolerance = clockTolerance
	}
	switch {
	case given("far_past") && !given("behind"):
		l.fail(b.Body.Attributes["far_past"].Range(), "Missing argument", `far_past needs behind, which says how far in the past is too far, such as behind = "30d".`)
	case given("behind") && !given("far_past"):
		c.Clock.Past = RejectTime
	}
	if c.Clock.Correct && body.Attributes["key"] == nil {
		l.fail(b.Body.Attributes["correct_skew"].Range(), "Whose clock?", "A clock is corrected for each key, and the channel has none. Name the column that tells devices apart, such as key = device.")
	}
}

// clockRule reads far_future or far_past.
func (l *loader) clockRule(b *hclsyntax.Body, name, text string) ClockRule {
	a := b.Attributes[name]
	if a == nil {
		return KeepTime
	}
	if at := slices.Index(clockRules(), text); at >= 0 {
		return ClockRule(at)
	}
	l.fail(a.Expr.Range(), "Not a rule for clocks",
		`%s is "keep" for the time as the device says it, "receive" for the time of receipt instead, or "reject"; this is %.100q.%s`, name, text, DidYouMean(text, clockRules()))
	return KeepTime
}
