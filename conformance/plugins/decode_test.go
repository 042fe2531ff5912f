package plugins

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/pipetest"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

// decoders are modules of plugins, built once.
type decoders map[string][]byte

// TestDecode: plugins that decode the payloads of channels, over files, HTTP and MQTT.
func TestDecode(t *testing.T) {
	d := decoders{}
	for _, name := range []string{"senml", "sparkplug", "geofence"} {
		_, d[name] = build(t, filepath.Join("../../plugins", name))
	}
	t.Run("pipelines", d.pipelines)
	t.Run("SenML from files", d.files)
	t.Run("SenML by HTTP", d.requests)
	t.Run("Sparkplug over MQTT", d.mqtt)
	t.Run("mistakes", d.mistakes)
}

// folder makes a folder of testdata/decode with its module in it.
func (d decoders) folder(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata/decode", name))))
	must(t, os.WriteFile(filepath.Join(dir, name+".wasm"), d[name], 0o644))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pipelines runs the tests that stand beside pipelines whose channels plugins decode.
func (d decoders) pipelines(t *testing.T) {
	for _, name := range []string{"senml", "sparkplug"} {
		t.Run(name, func(t *testing.T) {
			dir := d.folder(t, name)
			s, diags := pipetest.Load(env.Real(), dir)
			if diags.HasErrors() || len(s.Tests) == 0 {
				t.Fatalf("%d tests: %v", len(s.Tests), diags)
			}
			for _, test := range s.Tests {
				out, diags, err := test.Run(dir, pipetest.Options{Env: env.Real()})
				if err != nil || diags.HasErrors() {
					t.Fatalf("%s: %v %v", test.Name, err, diags)
				}
				for _, f := range out.Failures {
					t.Errorf("%s: %s\n%s", test.Name, f.What, f.More)
				}
			}
		})
	}
}

// engine opens an engine on a folder.
func engine(t *testing.T, dir string, vars map[string]string) *run.Engine {
	t.Helper()
	c, diags := config.Load(env.Real(), dir, config.Options{Vars: vars})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	data := filepath.Join(dir, "data")
	must(t, os.MkdirAll(data, 0o755))
	e, err := run.Open(p, run.Options{Env: env.Real(), Data: data, Specs: stages.Builtin(), StopAtEnd: len(vars) == 0})
	must(t, err)
	return e
}

// runs runs an engine until the work is done, and closes it.
func runs(t *testing.T, e *run.Engine, work func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	if work != nil {
		work()
		for s := e.Status(); s.Totals().Lag > 0; s = e.Status() {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}
	must(t, <-ended)
	must(t, e.Close())
}

// has wants lines of a file with all of these texts, in this order.
func has(t *testing.T, name string, want ...string) {
	t.Helper()
	content, err := os.ReadFile(name)
	must(t, err)
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%s has %d lines, want %d:\n%s", filepath.Base(name), len(lines), len(want), content)
	}
	for i, line := range lines {
		if !regexp.MustCompile(want[i]).MatchString(line) {
			t.Errorf("%s, line %d: %s\nwant %s", filepath.Base(name), i+1, line, want[i])
		}
	}
}

// files: packs in CBOR, captured with their topics, and in JSON beside them.
func (d decoders) files(t *testing.T) {
	dir := d.folder(t, "senml")
	must(t, os.WriteFile(filepath.Join(dir, "capture.hex"), []byte("a/b 81a200616102190100\n81a2006162021901\nnothing at all\na/c 81a20061610203\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "packs.ndjson"), []byte(`[{"n":"a","v":7},{"n":"c","vs":"x"}]`+"\n"), 0o644))
	runs(t, engine(t, dir, nil), nil)
	content, err := os.ReadFile(filepath.Join(dir, "readings.ndjson"))
	must(t, err)
	for _, want := range []string{`"name":"a","unit":null,"value":256,`, `"name":"a","unit":null,"value":3,`, `"name":"a","unit":null,"value":7,`, `"name":"c","unit":null,"value":null,`} {
		if !strings.Contains(string(content), want) {
			t.Errorf("no row has %s:\n%s", want, content)
		}
	}
	has(t, filepath.Join(dir, "rejects.ndjson"), `"reason":"plugin senml .*"row":"hex:81a2006162021901"`, `"row":"no record: the line before byte \d+: .*"`)
}

// requests: a request's body is one pack, in either form.
func (d decoders) requests(t *testing.T) {
	dir := d.folder(t, "senml")
	address := ports.Free(t)
	text, err := os.ReadFile(filepath.Join(dir, "sensors.hcl"))
	must(t, err)
	files := regexp.MustCompile(`(?s)ingest "file" "capture".*?\npipeline`)
	must(t, os.WriteFile(filepath.Join(dir, "sensors.hcl"), files.ReplaceAll(text,
		fmt.Appendf(nil, "ingest \"http\" \"in\" {\n  to     = channel.sensors\n  listen = %q\n}\nvariable \"live\" {\n  default = \"\"\n}\npipeline", address)), 0o644))
	runs(t, engine(t, dir, map[string]string{"live": "yes"}), func() {
		for _, c := range []struct{ kind, body string }{
			{"application/senml+json", `[{"n":"a","v":1},{"n":"b","v":2}]`},
			{"application/senml+cbor", "\x81\xa2\x00aa\x02\x03"},
		} {
			post(t, "http://"+address, c.kind, c.body)
		}
	})
	has(t, filepath.Join(dir, "readings.ndjson"), `"name":"a".*"value":1,`, `"name":"b".*"value":2,`, `"name":"a".*"value":3,`)
}

func post(t *testing.T, url, kind, body string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r, err := http.Post(url, kind, strings.NewReader(body))
		if err == nil {
			r.Body.Close()
			if r.StatusCode != 200 {
				t.Fatalf("%s: %s", kind, r.Status)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// mqtt publishes births and data as an edge node does, stops the engine in between, and reads the
// journal once more.
func (d decoders) mqtt(t *testing.T) {
	dir := d.folder(t, "sparkplug")
	address := "tcp://" + ports.Free(t)
	messages := [][2]string{
		{"spBv1.0/plant/NBIRTH/gw7", "0880d095ffbc31121a0a0454656d7010011880d095ffbc31200a6900000000004032c01800"},
		{"spBv1.0/plant/DDATA/gw7/pump1", "08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801"},
		{"spBv1.0/plant/DDATA/gw7/pump1", "68656c6c6f"},
		{"spBv1.0/plant/DDATA/gw8/pump2", "08e8d795ffbc31120b1001690000000000001240120f100218f4d395ffbc312003280150091801"},
	}
	for half := range 2 {
		runs(t, engine(t, dir, map[string]string{"listen": address}), func() { publish(t, address, messages[2*half:2*half+2]) })
	}
	numbers := []string{`"edge":"gw7","device":"pump1",.*"alias":1,"number":4.5,`, `"edge":"gw7","device":"pump1",.*"alias":2,"number":9,`,
		`"edge":"gw8","device":"pump2",.*"alias":1,"number":4.5,`, `"edge":"gw8","device":"pump2",.*"alias":2,"number":9,`}
	has(t, filepath.Join(dir, "numbers.ndjson"), numbers...)
	has(t, filepath.Join(dir, "rejects.ndjson"), `"stage":"channel.plant","reason":"plugin sparkplug .*","row":"hello"`)
	first, err := os.ReadFile(filepath.Join(dir, "numbers.ndjson"))
	must(t, err)

	again := d.folder(t, "sparkplug")
	must(t, os.CopyFS(filepath.Join(again, "data", "journal"), os.DirFS(filepath.Join(dir, "data", "journal"))))
	must(t, os.CopyFS(filepath.Join(again, "data", "plugins"), os.DirFS(filepath.Join(dir, "data", "plugins"))))
	runs(t, engine(t, again, map[string]string{"listen": "tcp://" + ports.Free(t)}), func() {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if second, err := os.ReadFile(filepath.Join(again, "numbers.ndjson")); err == nil && len(second) >= len(first) {
				return
			}
		}
	})
	second, err := os.ReadFile(filepath.Join(again, "numbers.ndjson"))
	must(t, err)
	if !bytes.Equal(sorted(first), sorted(second)) {
		t.Errorf("the journal read again gives\n%s\nwant\n%s", second, first)
	}
}

// sorted puts lines in order: the rows of two partitions are in one file.
func sorted(b []byte) []byte {
	lines := bytes.Split(b, []byte("\n"))
	for i := range lines {
		for k := i; k > 0 && bytes.Compare(lines[k], lines[k-1]) < 0; k-- {
			lines[k], lines[k-1] = lines[k-1], lines[k]
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

func publish(t *testing.T, address string, messages [][2]string) {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(address).SetClientID("gw7"))
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		token := c.Connect()
		if token.Wait(); token.Error() == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(token.Error())
		}
	}
	defer c.Disconnect(1000)
	for _, m := range messages {
		payload, err := hex.DecodeString(m[1])
		must(t, err)
		token := c.Publish(m[0], 1, false, payload)
		token.Wait()
		must(t, token.Error())
	}
}

// mistakes: what is said of channels that cannot be decoded so.
func (d decoders) mistakes(t *testing.T) {
	dir := d.folder(t, "senml")
	must(t, os.WriteFile(filepath.Join(dir, "geofence.wasm"), d["geofence"], 0o644))
	must(t, os.Remove(filepath.Join(dir, "sensors.hcl")))
	must(t, os.Remove(filepath.Join(dir, "sensors.test.hcl")))
	for _, c := range []struct{ channel, more, want string }{
		{"decode = plugin.senml\n", "", ""},
		{"decode = plugin.senm\n", "", `There is no block plugin "senm". Did you mean senml?`},
		{"decode = plugin.geofence\n", "", "plugin.geofence is of the kind enrich and works on rows: write transform"},
		{"decode = plugin.senml\n key = name\n", "", "Records find their partition before plugin.senml decodes them"},
		{"decode = plugin.senml\n key = name\n partitions = 1\n", "", ""},
		{"decode = plugin.senml\n key = device\n", "", `The schema of channel.c has no field "device".`},
		{"decode = plugin.senml\n explode = a\n", "", "Leave explode away"},
		{"decode = plugin.senml\n schema = { vlue = number }\n", "", `writes no column "vlue". Did you mean value?`},
		{"decode = plugin.senml\n schema = { value = string }\n", "", "writes value with the type number"},
		{"decode = plugin.senml\n schema = { value = number }\n", "rule \"r\" { where = unit == \"Cel\" }\n", `unit`},
		{"decode = plugin.senml\n", "transform \"wasm\" \"t\" { plugin = plugin.senml }\n", "Write decode = plugin.senml in the channel whose payloads it decodes"},
		{"decode = plugin.senml\n", "rule \"r\" { where = valeu > 1 }\n", "Did you mean value?"},
		{"", "sink \"channel\" \"feed\" { to = channel.d }\n", "channel.d cannot have decode"},
	} {
		text := fmt.Sprintf("plugin \"senml\" { source = \"senml.wasm\" }\nplugin \"geofence\" {\n source = \"geofence.wasm\"\n config = { areas = [] }\n}\nchannel \"c\" {\n %s}\nchannel \"d\" {\n decode = plugin.senml\n}\n"+
			"pipeline \"p\" {\n from = channel.c\n %s sink \"file\" \"f\" { path = \"f\" }\n sink \"file\" \"r\" { path = \"r\" }\n rejects = sink.r\n}\n", c.channel, c.more)
		must(t, os.WriteFile(filepath.Join(dir, "x.hcl"), []byte(text), 0o644))
		diags := plan.Check(env.Real(), dir, config.Options{}, stages.Builtin())
		var said []string
		for _, x := range diags {
			if said = append(said, x.Detail); x.Subject == nil || x.Subject.Start.Line == 0 {
				t.Errorf("no position: %s", x.Detail)
			}
		}
		if all := strings.Join(said, "\n"); !strings.Contains(all, c.want) || c.want == "" && all != "" || len(said) > 1 {
			t.Errorf("%s%s: %q, want %q", c.channel, c.more, all, c.want)
		}
	}
}
