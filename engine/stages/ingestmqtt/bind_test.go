package ingestmqtt

import (
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
)

func bound(t testing.TB, text string, ch *config.Channel, dir string) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	return a.Bind(nil, stage.At{Address: "ingest.t", Dir: dir, Channel: ch})
}

// TestBind reads testdata/bind.txt: arguments, then what is said of them;
// nothing when they are right.
func TestBind(t *testing.T) {
	text, err := os.ReadFile("testdata/bind.txt")
	if err != nil {
		t.Fatal(err)
	}
	ch := &config.Channel{Name: "telemetry", Key: "key", Partitions: 1, Schema: []config.Field{{Name: "temp", Type: arrow.PrimitiveTypes.Float64}}}
	cases := strings.Split("\n"+string(text), "\n== ")[1:]
	if len(cases) < 20 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		title, rest, _ := strings.Cut(c, "\n")
		body, want, _ := strings.Cut(rest, "\n--")
		_, diags := bound(t, body, ch, "/conf")
		var got []string
		for _, d := range diags {
			got = append(got, d.Summary+": "+d.Detail)
			if d.Subject == nil || d.Subject.Filename != "t.hcl" {
				t.Errorf("%s: %s has no position", title, d.Summary)
			}
		}
		if text := strings.Join(got, "\n"); text != strings.TrimSpace(want) {
			t.Errorf("%s:\n%s\nwant\n%s", title, text, want)
		}
	}
}
