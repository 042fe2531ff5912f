package plan_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// blocks are stages with arguments of all kinds, an argument a line. tmep is no column.
var blocks = []string{`alarm "a" {
  by        = [device]
  when      = tmep > 3
  for       = "5m"
  clear     = temp < 1
  clear_for = "1m"
  severity  = "info"
  with      = [temp]
}`, `alarm "a" {
  by     = [device]
  absent = "10m"
  with   = [tmep]
}`, `anomaly "rcf" "a" {
  by              = [device]
  on              = [tmep]
  with            = [temp]
  trees           = 30
  alerts_per_week = 1
  suppress        = temp > 80
}`, `dedupe "a" {
  by     = [device, tmep]
  within = "5m"
}`, `enrich "file" "a" {
  path    = "a.csv"
  by      = [device]
  with    = [id]
  columns = { id = string, lat = number }
  missing = "default"
  default = { lat = tmep }
}`, `enrich "http" "a" {
  url     = "http://127.0.0.1:1/a.csv"
  by      = [device]
  with    = [id]
  columns = { id = string, lat = number }
  missing = "default"
  default = { lat = tmep }
  timeout = "5s"
}`, `order "a" {
  bound = "5m"
  keep  = [tmep]
}`, `rule "a" {
  where  = tmep > 3
  set    = { a = temp + 1 }
  select = [a]
}`, `sink "file" "a" {
  path   = "a.csv"
  format = "csv"
  meta   = true
}`, `sink "http" "a" {
  url     = "http://127.0.0.1:1/"
  body    = { a = tmep }
  timeout = "5s"
}`, `sink "influxdb" "a" {
  url         = "http://127.0.0.1:1"
  database    = "d"
  measurement = "m"
  tags        = [device]
  fields      = [tmep]
}`, `sink "mqtt" "a" {
  url     = "mqtt://127.0.0.1:1"
  topic   = "a/${tmep}"
  payload = { a = temp }
  qos     = 1
  retain  = true
}`, `sink "parquet" "a" {
  path         = "lake"
  partition_by = [tmep]
  roll_age     = "5m"
}`, `window "tumbling" "a" {
  by    = [device]
  every = "5m"
  grace = "1m"
  keep  = "1h"
  late  = "revise"
  idle  = "1m"
  emit  = { a = avg(tmep) }
}`, `window "sliding" "a" {
  by     = [device]
  size   = "5m"
  every  = "1m"
  emit   = { a = avg(tmep) }
  having = avg(tmep) > 3
}`, `window "session" "a" {
  by   = [device]
  gap  = "5m"
  emit = { a = avg(tmep) }
}`, `window "count" "a" {
  by   = [device]
  size = 5
  emit = { a = avg(tmep) }
}`, `window "state" "a" {
  by    = [device]
  while = tmep > 5
  emit  = { a = avg(temp) }
}`, `ingest "file" "a" {
  to        = channel.c
  path      = ["a.csv", "b.csv"]
  format    = "csv"
  follow    = true
  columns   = ["device", "temp"]
  separator = ";"
}`, `ingest "mqtt" "a" {
  to     = channel.c
  listen = "tcp://127.0.0.1:1"
  topic  = "a/{device}"
}`, `ingest "mqtt" "a" {
  to     = channel.c
  url    = "mqtt://127.0.0.1:1"
  topic  = "a/{device}"
  qos    = 1
}`, `ingest "http" "a" {
  to     = channel.c
  listen = "127.0.0.1:1"
  path   = "/a"
}`}

// TestBesideMistakes: an argument that cannot be decoded hides no mistake in the expressions beside it, and nothing is said
// of others for want of it. (A wrong expression may make others wrong.)
func TestBesideMistakes(t *testing.T) {
	for _, block := range blocks {
		lines := strings.Split(block, "\n")
		name := lines[0]
		for i := 1; i < len(lines)-1; i++ {
			arg, _, _ := strings.Cut(strings.TrimSpace(lines[i]), " ")
			changed := append([]string(nil), lines...)
			changed[i] = "  " + arg + " = [[]]"
			told := mistakes(t, strings.Join(changed, "\n"))
			if isExpression(t, name, arg) && told[i] != "" {
				continue
			}
			for k, line := range changed {
				if wrong := strings.Contains(line, "tmep") || k == i; wrong != (told[k] != "") {
					t.Errorf("%s with %s = [[]]: of %q is said %q", name, arg, strings.TrimSpace(line), told[k])
				}
			}
			changed[i] = ""
			mistakes(t, strings.Join(changed, "\n")) // whatever is missing, it does not panic
		}
	}
}

// isExpression says whether an argument is one that Bind decodes.
func isExpression(t *testing.T, head, arg string) bool {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(head, `"`, ""))
	for _, spec := range stages.Builtin() {
		if spec.Kind != words[0] || spec.Type != "" && spec.Type != words[1] {
			continue
		}
		args := reflect.TypeOf(spec.Args()).Elem()
		for i := range args.NumField() {
			if name, _, _ := strings.Cut(args.Field(i).Tag.Get("hcl"), ","); name == arg {
				return args.Field(i).Type == reflect.TypeFor[hcl.Expression]()
			}
		}
	}
	return false
}

// mistakes says what is wrong with a stage, by line.
func mistakes(t *testing.T, block string) map[int]string {
	t.Helper()
	dir := t.TempDir()
	head, tail := `channel "c" {
key = device
schema = { device = string, temp = number }
}
pipeline "p" {
from = channel.c
`, "\n}\n"
	if strings.HasPrefix(block, "ingest") {
		head, tail = head+"}\n", "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(head+block+tail), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags := config.Load(env.Real(), dir, config.Options{})
	if !diags.HasErrors() {
		_, diags = plan.Build(cfg, stages.Builtin(), nil)
	}
	told := map[int]string{}
	for _, d := range diags {
		told[d.Subject.Start.Line-1-strings.Count(head, "\n")] += d.Summary + ": " + d.Detail
	}
	return told
}
