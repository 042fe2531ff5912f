package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// TestTopicsOfSome: a column that some ingests take from topics is null in the records of others, which is told where the channel goes by it.
func TestTopicsOfSome(t *testing.T) {
	const listener = `ingest "mqtt" "a" {
to = channel.c
listen = "tcp://127.0.0.1:1883"
topic = TOPIC
}
`
	const post = `ingest "http" "b" {
to = channel.c
listen = "127.0.0.1:8080"
ENABLED
}
`
	for _, x := range []struct{ name, schema, topic, more, want string }{
		{"one way in", "", `"dt/{device}"`, "", ""},
		{"another without topics", "", `"dt/{device}"`, post, `device of channel.c comes from topics, and records of ingest.b have none`},
		{"one that is not enabled", "", `"dt/{device}"`, strings.Replace(post, "ENABLED", "enabled = false", 1), ""},
		{"a name that the channel does not go by", "", `"dt/{site}/x"`, post, ""},
		{"a name in the schema", "schema = { device = string, site = string }", `"dt/{site}/x"`, post, `site of channel.c comes from topics, and records of ingest.b have none`},
		{"a topic without the name", "", `["dt/{device}", "all/{site}"]`, "", `those of "all/{site}" have no {device}`},
		{"another name", "", `"dt/{topic_device}"`, post, ""},
	} {
		dir := t.TempDir()
		text := "channel \"c\" {\nkey = device\n" + x.schema + "\n}\n" + strings.Replace(listener, "TOPIC", x.topic, 1) + strings.Replace(x.more, "ENABLED", "", 1)
		if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, diags := config.Load(env.Real(), dir, config.Options{})
		if !diags.HasErrors() {
			_, diags = plan.Build(cfg, stages.Builtin(), nil)
		}
		var told []string
		for _, d := range diags {
			if d.Severity == hcl.DiagError || d.Summary == "A column that is null" {
				told = append(told, d.Detail)
			}
		}
		if all := strings.Join(told, "\n"); len(told) > 1 || (x.want == "") != (all == "") || !strings.Contains(all, x.want) {
			t.Errorf("%s: %q, want %q", x.name, all, x.want)
		}
	}
}
