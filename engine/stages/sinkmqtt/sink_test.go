package sinkmqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/conformance/mosquitto"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/stage"
)

const patience = 2 * time.Minute

func block(t testing.TB, text string) hcl.Body {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f.Body
}

func bind(t testing.TB, text string, schema *arrow.Schema, ingests ...*config.Block) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	a := Spec().Args()
	ctx := &hcl.EvalContext{}
	if diags := config.DecodeBody(block(t, text), a, ctx); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{Address: "pipeline.p.sink.s", Range: hcl.Range{Filename: "t.hcl"}, Dir: "/conf", Inputs: []string{"rule.r"}, Eval: ctx, Ingests: ingests}
	at.Scope = func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "rule.r"} }
	return a.Bind([]*arrow.Schema{schema}, at)
}

// rig is an opened sink and what it has rejected.
type rig struct {
	stage.Sink
	mu      sync.Mutex
	rejects []string
}

func open1(t testing.TB, text string, schema *arrow.Schema, hub *mqtt.Hub, ingests ...*config.Block) *rig {
	t.Helper()
	b, diags := bind(t, text, schema, ingests...)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r := &rig{}
	s, err := b.OpenSink(stage.Opening{Env: env.Real(), Address: "pipeline.p.sink.s", Alloc: memory.DefaultAllocator, Hub: hub, Count: func(string, int64) {},
		Reject: func(x stage.Reject) {
			r.mu.Lock()
			r.rejects = append(r.rejects, fmt.Sprintf("%d: %s", x.Row, x.Reason))
			r.mu.Unlock()
		}})
	if err != nil {
		t.Fatal(err)
	}
	r.Sink = s
	t.Cleanup(func() { s.Close() })
	return r
}

func parse(t testing.TB, text string) arrow.RecordBatch {
	t.Helper()
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rows.Release)
	return rows
}

// numbered makes rows n = from, from+1, ... of three devices.
func numbered(t testing.TB, from, n int) arrow.RecordBatch {
	text := "device:string\tn:number\n"
	for i := from; i < from+n; i++ {
		text += fmt.Sprintf("d%d\t%d\n", i%3, i)
	}
	return parse(t, text)
}

// listener is a subscriber by a client of others.
type listener struct {
	paho.Client
	mu  sync.Mutex
	got []string
}

func listen(t testing.TB, address, id, filter string, qos byte) *listener {
	t.Helper()
	l := &listener{}
	o := paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetCleanSession(false).
		SetAutoReconnect(true).SetMaxReconnectInterval(100 * time.Millisecond).SetResumeSubs(true).SetConnectRetry(true)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		l.mu.Lock()
		l.got = append(l.got, fmt.Sprintf("%s %s q%d r%v", m.Topic(), m.Payload(), m.Qos(), m.Retained()))
		l.mu.Unlock()
	})
	l.Client = paho.NewClient(o)
	if k := l.Connect(); !k.WaitTimeout(patience) || k.Error() != nil {
		t.Fatal(k.Error())
	}
	if k := l.Subscribe(filter, qos, nil); !k.WaitTimeout(patience) || k.Error() != nil {
		t.Fatal(k.Error())
	}
	t.Cleanup(func() { l.Disconnect(0) })
	return l
}

// wait waits for so many messages.
func (l *listener) wait(t testing.TB, n int) []string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		got := slices.Clone(l.got)
		l.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages, want %d: %q", len(got), n, got)
		}
	}
}

func ingest(t testing.TB, name, body string) *config.Block {
	return &config.Block{Kind: "ingest", Type: "mqtt", Name: name, Enabled: true, Body: block(t, body)}
}

// TestOwnSubscribers: rows reach those who have subscribed at the ingest's
// server, and what is retained those who come later.
func TestOwnSubscribers(t *testing.T) {
	s := mqtt.NewServer(mqtt.Options{Env: env.Real()})
	defer s.Close()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listen(mqtt.Listener{Listener: nl})
	hub := mqtt.NewHub()
	rows := parse(t, "device:string\tn:number\na\t1\nb\t2\nc/+\t3\n-\t4\na\t5\n")
	sink := open1(t, "topic = \"alarms/${device}\"\nretain = true\nqos = 2\n", rows.Schema(), hub, ingest(t, "in", "listen = \"x\""))
	if err := sink.Write(context.Background(), 0, rows); err == nil || err.Error() != "ingest.in is not open" {
		t.Errorf("without a server: %v", err)
	}
	defer hub.Join("ingest.in", s)()
	l := listen(t, nl.Addr().String(), "early", "alarms/#", 2)
	if err := sink.Write(context.Background(), 0, rows); err != nil {
		t.Fatal(err)
	}
	want := []string{`alarms/a {"device":"a","n":1} q2 rfalse`, `alarms/b {"device":"b","n":2} q2 rfalse`, `alarms/a {"device":"a","n":5} q2 rfalse`}
	if got := l.wait(t, 3); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	late := listen(t, nl.Addr().String(), "late", "alarms/#", 1).wait(t, 2)
	slices.Sort(late)
	if !slices.Equal(late, []string{`alarms/a {"device":"a","n":5} q1 rtrue`, `alarms/b {"device":"b","n":2} q1 rtrue`}) {
		t.Errorf("retained: %q", late)
	}
	if want := []string{`2: the topic "alarms/c/+" has a wildcard`, "3: the topic is null"}; !slices.Equal(sink.rejects, want) {
		t.Errorf("rejects %q", sink.rejects)
	}
}

// TestBroker: a real broker is stopped and started again all the time; every
// row arrives, in order, with every version and quality of service that promises it.
func TestBroker(t *testing.T) {
	const batches, size = 12, 60
	for _, c := range []string{"qos = 1", "qos = 2", "qos = 1\nprotocol = \"3.1.1\""} {
		t.Run(c, func(t *testing.T) {
			b := mosquitto.Start(t, "")
			l := listen(t, b.Address, "listener", "alarms/#", 1)
			schema := numbered(t, 0, 1).Schema()
			sink := open1(t, fmt.Sprintf("url = \"mqtt://%s\"\ntopic = \"alarms/${device}\"\npayload = \"${n}\"\nin_flight = 8\ntimeout = \"200ms\"\n%s\n", b.Address, c), schema, nil)
			for i := range batches {
				if i%5 == 3 {
					b.Stop() // not Kill: it would lose what it has confirmed
					time.AfterFunc(250*time.Millisecond, b.Restart)
				}
				sink.Sink.(stage.Placed).Place(uint64(i))
				rows := numbered(t, i*size, size)
				for try := 0; ; try++ {
					err := sink.Write(context.Background(), 0, rows)
					if err == nil {
						break
					}
					if try > 100 || !strings.Contains(err.Error(), "rows wait") {
						t.Fatal(err)
					}
				}
			}
			next := map[string]int{"d0": 0, "d1": 1, "d2": 2}
			seen := 0
			for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
				got := l.wait(t, seen)
				for _, text := range got[seen:] {
					var device string
					var n int
					fmt.Sscanf(strings.TrimPrefix(text, "alarms/"), "%s %d", &device, &n)
					if n > next[device] {
						t.Fatalf("%s: %d comes where %d is next", device, n, next[device])
					}
					next[device] = max(next[device], n+3)
				}
				seen = len(got)
				if next["d0"] >= batches*size && next["d1"] >= batches*size && next["d2"] >= batches*size {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("next are %v", next)
				}
			}
			if len(sink.rejects) > 0 {
				t.Errorf("rejects %q", sink.rejects)
			}
		})
	}
}

// TestRefused: rows that the broker does not want, and a broker that lets nobody in.
func TestRefused(t *testing.T) {
	b := mosquitto.Start(t, "allow_anonymous true\nmax_packet_size 100\n")
	rows := parse(t, "device:string\tn:number\na\t1\n"+strings.Repeat("b", 200)+"\t2\n")
	sink := open1(t, "url = \"mqtt://"+b.Address+"\"\ntopic = \"t\"\n", rows.Schema(), nil)
	if err := sink.Write(context.Background(), 0, rows); err != nil {
		t.Fatal(err)
	}
	if want := []string{"1: mqtt://" + b.Address + " does not want it: packet too large"}; !slices.Equal(sink.rejects, want) {
		t.Errorf("rejects %q", sink.rejects)
	}
	b = mosquitto.Start(t, "allow_anonymous false\n")
	sink = open1(t, "url = \"mqtt://"+b.Address+"\"\ntopic = \"t\"\ntimeout = \"300ms\"\nuser = \"u\"\npassword = \"hunter2\"\n", rows.Schema(), nil)
	err := sink.Write(context.Background(), 0, rows)
	if err == nil || !strings.Contains(err.Error(), "2 rows wait: the broker refuses the connection: not authorized") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := sink.Write(ctx, 0, rows); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestBind: mistakes, in words that hold no secret.
func TestBind(t *testing.T) {
	schema := numbered(t, 0, 1).Schema()
	listens, client := ingest(t, "in", "listen = \"x\""), ingest(t, "upstream", "url = \"x\"")
	const good = "topic = \"a/${device}\"\n"
	const broker = good + "url = \"mqtts://b.example\"\n"
	for _, c := range []struct {
		args, says string
		ingests    []*config.Block
	}{
		{good, "", []*config.Block{listens, client}},
		{good, "Nobody to publish to", []*config.Block{client}},
		{good, "Which ingest?", []*config.Block{listens, ingest(t, "other", "listen = \"x\"")}},
		{good + "through = ingest.other\n", "", []*config.Block{listens, ingest(t, "other", "listen = \"x\"")}},
		{good + "through = ingest.inn\n", "Did you mean in?", []*config.Block{listens}},
		{good + "user = \"u\"\n", "is for a broker", []*config.Block{listens}},
		{good + "tls {}\n", "is for a broker", []*config.Block{listens}},
		{broker + "user = \"u\"\npassword = \"hunter2\"\nclient_id = \"x\"\ntls {\n  ca = \"ca.pem\"\n}\n", "", nil},
		{broker + "password = \"hunter2\"\n", "without a user", nil},
		{broker + "tls {\n  cert = \"c\"\n}\n", "Half a pair", nil},
		{broker + "qos = 3\n", "qos is 0, 1 or 2", nil},
		{broker + "in_flight = 0\n", "in_flight goes", nil},
		{broker + "timeout = \"1ms\"\n", "timeout goes", nil},
		{broker + "protocol = \"4\"\n", "It takes \"5\"", nil},
		{broker + "client_id = \"a\\nb\"\n", "client_id is", nil},
		{broker + "through = ingest.in\n", "through beside url", []*config.Block{listens}},
		{broker + "payload = { x = devise }\n", "device", nil},
		{broker + "payload = { x = n }\nmeta = true\n", "meta beside payload", nil},
		{"url = \"mqtts://b\"\ntopic = \"a/+/${device}\"\n", "has a wildcard", nil},
		{"url = \"mqtts://b\"\ntopic = n\n", "topic", nil},
		{good + "url = \"mqtt://u:hunter2@b\"\n", "settings of their own", nil},
		{good + "url = \"mqtt://b.example\"\nuser = \"u\"\npassword = \"hunter2\"\n", "Secrets in the clear", nil},
		{good + "url = \"mqtt://[::1]\"\nuser = \"u\"\npassword = \"hunter2\"\n", "", nil},
		{good + "url = \"mqtt://b\"\ntls {}\n", "Certificates without TLS", nil},
	} {
		_, diags := bind(t, c.args, schema, c.ingests...)
		if strings.Contains(diags.Error(), "hunter2") {
			t.Errorf("%s: a secret is told: %v", c.args, diags)
		}
		if c.says == "" && len(diags) > 0 || c.says != "" && (len(diags) != 1 || !strings.Contains(diags[0].Summary+diags[0].Detail, c.says)) {
			t.Errorf("%s: %v, want %q", c.args, diags, c.says)
		}
	}
}
