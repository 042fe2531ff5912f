package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// TestRevised: a window over rows that come again with another revision says which of them count, and is refused
// where they cannot be told from other rows.
func TestRevised(t *testing.T) {
	const head = `
channel "c" {
  key        = device
  time       = ts
  partitions = 2
  schema     = { ts = timestamp, device = string, site = string, temp = number }
}
channel "minutes" {
  CHANNEL
}
pipeline "p" {
  from = channel.c
  WINDOW
  RULE
  sink "channel" "roll" {
    from = rule.r
    to   = channel.minutes
    SINK
  }
}
pipeline "q" {
  from = channel.minutes
  window "tumbling" "hour" {
    every = "1h"
    HOUR
    emit  = { n = sum(n) }
  }
}
`
	const minute = `window "tumbling" "w" {
    by    = [site, device]
    every = "1m"
    grace = "10m"
    emit  = { n = count(), hot = max(temp) > 30 }
    MORE
  }`
	for _, c := range []struct{ name, window, more, rule, enrich, sink, channel, hour, want, warn string }{
		{name: "latest", hour: "by = [device]\nkeep = \"70m\"\nrevisions = \"latest\""},
		{name: "first", hour: "by = [device]\nrevisions = \"first\""},
		{name: "by something else that stays", hour: "by = [site]\nkeep = \"70m\"\nrevisions = \"latest\""},
		{name: "nobody says", hour: "by = [device]", want: `Rows of channel.minutes may come again with another revision, and it is not said which of them count. Write revisions = "latest"`},
		{name: "no keep", hour: "by = [device]\nrevisions = \"latest\"", warn: `revised for up to 1h10m0s behind their time, and windows here for 1h0m0s`},
		{name: "a sink that takes the first", sink: `revisions = "first"`, hour: "by = [device]"},
		{name: "no revisions", more: `late = "drop"`, hour: "by = [device]"},
		{name: "latest of none", more: `late = "drop"`, hour: "by = [device]\nrevisions = \"latest\""},
		{name: "a misspelt way", hour: "by = [device]\nrevisions = \"last\"", want: `revisions is "last". There is first, latest.`},
		{name: "a key that may change", hour: "by = [hot]\nrevisions = \"latest\"", want: "hot could be another in it"},
		{name: "having", more: "having = count() > 3", hour: "by = [device]\nrevisions = \"latest\"", want: "window.w has having, and emits again what is not true of it any more"},
		{name: "sessions", window: strings.NewReplacer("tumbling", "session", `every = "1m"`, `gap = "1m"`).Replace(minute), hour: "by = [device]\nrevisions = \"latest\"",
			want: "window.w may move the end of what it has emitted"},
		{name: "a rule that looks at what changes", rule: "where = n > 3", hour: "by = [device]\nrevisions = \"latest\"", want: "rule.r may let one revision of a row through and keep another out"},
		{name: "a rule that looks at what stays", rule: "where = device != \"x\"\nset = { area = \"${site}!\" }", hour: "by = [area]\nkeep = \"70m\"\nrevisions = \"latest\""},
		{name: "a rule that takes a key away", rule: "remove = [window_start]", hour: "by = [device]\nrevisions = \"latest\"", want: "rule.r takes window_start away, by which revisions of a row are told"},
		{name: "a rule that changes a key", rule: "set = { site = n > 3 }", hour: "by = [device]\nrevisions = \"latest\"", want: "rule.r takes site away"},
		{name: "another name", rule: "rename = { area = site }", hour: "by = [area]\nkeep = \"70m\"\nrevisions = \"latest\""},
		{name: "an enrich", enrich: "missing = \"null\"", hour: "by = [device]\nkeep = \"70m\"\nrevisions = \"latest\""},
		{name: "an enrich that leaves rows out", enrich: "missing = \"drop\"", hour: "by = [device]\nrevisions = \"latest\"",
			want: "enrich.r may let one revision of a row through and leave another out"},
		{name: "a channel by a key that may change", channel: "key = hot\npartitions = 2", hour: "by = [device]\nrevisions = \"latest\"", want: "the key of channel.minutes is hot, which a revision may change"},
		{name: "a channel with a time", channel: "key = device\ntime = window_end", hour: "by = [device]\nrevisions = \"latest\"", want: "channel.minutes has a time of its own"},
		{name: "a channel by another key", channel: "key = site", hour: "by = [device]\nkeep = \"70m\"\nrevisions = \"latest\""},
		{name: "a channel that leaves out what tells", channel: "key = device\nschema = { device = string, site = string, n = integer, revision = integer }",
			hour: "by = [device]\nrevisions = \"latest\"", want: "channel.minutes has no column window_start, by which revisions of a row are told"},
		{name: "two feeders", sink: "}\nsink \"channel\" \"more\" {\n  from = rule.r\n  to = channel.minutes", hour: "by = [device]\nrevisions = \"latest\"", want: "more than one stage feeds channel.minutes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			window := minute
			if c.window != "" {
				window = c.window
			}
			rule := "rule \"r\" {\nfrom = window.w\n" + c.rule + "\n}"
			if c.enrich != "" {
				rule = "enrich \"file\" \"r\" {\nfrom = window.w\npath = \"r.csv\"\nby = [device]\ncolumns = { device = string, floor = integer }\n" + c.enrich + "\n}"
			}
			channel := "key = device"
			if c.channel != "" {
				channel = c.channel
			}
			text := strings.NewReplacer("CHANNEL", channel, "MORE", c.more, "RULE", rule, "SINK", c.sink, "HOUR", c.hour).Replace(strings.Replace(head, "WINDOW", window, 1))
			if c.enrich != "" {
				text = strings.ReplaceAll(text, "rule.r", "enrich.r")
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg, diags := config.Load(env.Real(), dir, config.Options{})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			p, diags := plan.Build(cfg, stages.Builtin(), nil)
			said := ""
			for _, d := range diags {
				said += d.Detail + "\n"
			}
			switch {
			case diags.HasErrors() != (c.want != "") || !strings.Contains(said, c.want) || !strings.Contains(said, c.warn):
				t.Errorf("got %v, not %q %q", said, c.want, c.warn)
			case c.want == "" && c.warn == "" && strings.Contains(said, "revised for up to"):
				t.Errorf("warned: %s", said)
			case p != nil && strings.Contains(c.hour, "latest") && c.more == "":
				var text strings.Builder
				p.Explain().Text(&text)
				if !strings.Contains(text.String(), "the latest revision of each row that comes again") {
					t.Errorf("plan does not say what counts:\n%s", text.String())
				}
			}
		})
	}
}
