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

// TestTopicsOfSome: a column that some ingests take from topics comes from the payload in the records of others; where a plugin reads
// payloads it is null there, which is told where the channel goes by it.
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
	const plugin = "\ndecode = plugin.p"
	for _, x := range []struct{ name, schema, topic, more, want, payload string }{
		{"one way in", "", `"dt/{device}"`, "", "", ""},
		{"another without topics", "", `"dt/{device}"`, post, "", "device"},
		{"one that is not enabled", "", `"dt/{device}"`, strings.Replace(post, "ENABLED", "enabled = false", 1), "", ""},
		{"a name that the channel does not go by", "", `"dt/{site}/x"`, post, "", "site"},
		{"a name in the schema", "schema = { device = string, site = string }", `"dt/{site}/x"`, post, "", "site"},
		{"topics without a name each", "", `["dt/{device}", "all/{site}"]`, "", "", "device site"},
		{"a name that all topics have", "", `["dt/{device}/{site}", "all/{device}"]`, "", "", "site"},
		{"another name", "", `"dt/{topic_device}"`, post, "", "topic_device"},
		{"a plugin, one way in", plugin, `"dt/{device}"`, "", "", ""},
		{"a plugin", plugin, `"dt/{device}"`, post, `device of channel.c comes from topics, and records of ingest.b have none`, ""},
		{"a plugin, and a name that the channel does not go by", plugin, `"dt/{site}/x"`, post, "", ""},
		{"a plugin, and a topic without the name", plugin, `["dt/{device}", "all/{site}"]`, "", `those of "all/{site}" have no {device}`, ""},
	} {
		dir := t.TempDir()
		text := "channel \"c\" {\nkey = device\n" + x.schema + "\n}\n" + strings.Replace(listener, "TOPIC", x.topic, 1) + strings.Replace(x.more, "ENABLED", "", 1)
		if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, diags := config.Load(env.Real(), dir, config.Options{})
		if diags.HasErrors() {
			t.Fatalf("%s: %s", x.name, diags)
		}
		p, diags := plan.Build(cfg, stages.Builtin(), nil)
		var told, payload []string
		for _, d := range diags {
			if d.Summary == "A column that is null" || d.Severity == hcl.DiagError && !strings.Contains(d.Detail, "plugin") {
				told = append(told, d.Detail)
			}
		}
		if all := strings.Join(told, "\n"); len(told) > 1 || (x.want == "") != (all == "") || !strings.Contains(all, x.want) {
			t.Errorf("%s: %q, want %q", x.name, all, x.want)
		}
		if p == nil { // there is no such plugin
			continue
		}
		for _, f := range p.Channel("c").Fields {
			if f.OrPayload {
				payload = append(payload, f.Name)
			}
		}
		if got := strings.Join(payload, " "); got != x.payload {
			t.Errorf("%s: the payload gives %q, want %q", x.name, got, x.payload)
		}
	}
}
