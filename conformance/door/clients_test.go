package door

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"
)

// visitor is a client of a library: it publishes a message of each QoS from
// least on and waits until each has come back, in two rounds with a restart of the server between.
type visitor interface {
	// round publishes and waits; first connects before.
	round(ctx context.Context, which string) (ids []string, err error)
	end()
}

// TestLibraries lets clients of libraries publish, subscribe, and find back when the server has restarted.
func TestLibraries(t *testing.T) {
	w := newWorld(t, "")
	w.start()
	w.listening()
	visitors := map[string]visitor{
		"npm mqtt, 3.1.1":              node(w, "npm3", "npm3", "mqtt://"+w.plain),
		"npm mqtt, 5.0":                node(w, "npm5", "npm5", "mqtt://"+w.plain),
		"npm mqtt, 5.0, mTLS":          nodeTLS(w, "npm5", "npm5tls", "mqtts://"+w.secure),
		"npm mqtt, 3.1.1, WebSocket":   node(w, "npm3", "npm3ws", "ws://"+w.socket+"/mqtt"),
		"AWS IoT SDK, 3.1.1, mTLS":     nodeTLS(w, "aws3", "aws3", w.secure),
		"AWS IoT SDK, 5.0, mTLS":       nodeTLS(w, "aws5", "aws5", w.secure),
		"paho for Go, 3.1.1":           &pahoV3{name: "paho3", broker: "tcp://" + w.plain},
		"paho for Go, 3.1.1, mTLS":     &pahoV3{name: "paho3tls", broker: "ssl://" + w.secure, tls: w.tlsFor("paho3tls")},
		"autopaho for Go, 5.0":         &pahoV5{name: "paho5", server: "mqtt://" + w.plain},
		"autopaho for Go, 5.0, mTLS":   &pahoV5{name: "paho5tls", server: "mqtts://" + w.secure, tls: w.tlsFor("paho5tls")},
		"autopaho for Go, 5.0, socket": &pahoV5{name: "paho5ws", server: "ws://" + w.socket + "/mqtt"},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var all sync.Map
	both := func(which string) {
		var wg sync.WaitGroup
		for name, v := range visitors {
			wg.Go(func() {
				ids, err := v.round(ctx, which)
				if err != nil {
					t.Errorf("%s, %s round: %v", name, which, err)
				}
				for _, id := range ids {
					all.Store(id, name)
				}
			})
		}
		wg.Wait()
	}
	defer func() {
		for _, v := range visitors {
			v.end()
		}
	}()
	both("first")
	if t.Failed() {
		return
	}
	w.stop()
	w.start()
	w.listening()
	both("second")
	w.stop()
	rows, n := w.rows(), 0
	all.Range(func(id, name any) bool {
		n++
		if rows[id.(string)] != 1 {
			t.Errorf("%s: %s is in the output %d times", name, id, rows[id.(string)])
		}
		return true
	})
	if n < 4*len(visitors) {
		t.Errorf("only %d messages of %d clients came back", n, len(visitors))
	}
}

// nodeVisitor is a client of client.mjs.
type nodeVisitor struct {
	name   string
	levels []int // of QoS
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	said   *text
	err    error
}

func node(w *world, kind, name string, args ...string) *nodeVisitor {
	v := &nodeVisitor{name: name, levels: []int{0, 1, 2}, said: &text{}}
	if strings.HasPrefix(kind, "aws") {
		v.levels = v.levels[:2]
	}
	v.cmd = exec.Command("node", append([]string{"client.mjs", kind, name}, args...)...)
	v.cmd.Stderr = v.said
	if _, err := os.Stat("node_modules/mqtt"); err != nil {
		w.t.Fatal("the packages are not installed: run `npm ci` in conformance/door, as `make test` does")
	}
	var err error
	v.in, err = v.cmd.StdinPipe()
	must(w.t, err)
	out, err := v.cmd.StdoutPipe()
	must(w.t, err)
	v.out = bufio.NewReader(out)
	must(w.t, v.cmd.Start())
	return v
}

func nodeTLS(w *world, kind, name, address string) *nodeVisitor {
	cert, key := w.ca.save(w.t, w.dir, name)
	return node(w, kind, name, address, w.dir+"/ca.pem", cert, key)
}

func (v *nodeVisitor) round(ctx context.Context, which string) (ids []string, err error) {
	levels, want := v.levels, "ready\n"
	if which == "second" {
		levels, want = levels[1:], "again\n"
		if _, err := io.WriteString(v.in, "go\n"); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, v.end)
	defer stop()
	line, err := v.out.ReadString('\n')
	if line != want {
		return nil, fmt.Errorf("it says %q, %v: %s", line, err, v.said)
	}
	for _, qos := range levels {
		ids = append(ids, fmt.Sprintf("%s-%s-%d", v.name, which, qos))
	}
	return ids, nil
}

func (v *nodeVisitor) end() {
	_ = v.cmd.Process.Kill() // it may have ended by itself
	_ = v.cmd.Wait()
}

// echo publishes by publish and waits until what was published has come back.
func echo(ctx context.Context, name, which string, back <-chan string, publish func(qos byte, text []byte) error) (ids []string, err error) {
	for qos := range byte(3) {
		if qos == 0 && which == "second" {
			continue // it may be lost while the connection is not back
		}
		id := fmt.Sprintf("%s-%s-%d", name, which, qos)
		ids = append(ids, id)
		if err := publish(qos, fmt.Appendf(nil, `{"id":%q}`, id)); err != nil {
			return nil, err
		}
		for came := ""; came != id; {
			select {
			case came = <-back:
			case <-ctx.Done():
				return nil, fmt.Errorf("%s does not come back", id)
			}
		}
	}
	return ids, nil
}

func idOf(payload []byte) string {
	var m struct{ ID string }
	if json.Unmarshal(payload, &m) != nil {
		return "no message: " + string(payload)
	}
	return m.ID
}

type pahoV3 struct {
	name, broker string
	tls          *tls.Config
	client       paho3.Client
	back         chan string
}

func (v *pahoV3) round(ctx context.Context, which string) ([]string, error) {
	topic := "dt/" + v.name + "/telemetry"
	wait := func(t paho3.Token) error {
		select {
		case <-t.Done():
			return t.Error()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if v.client == nil {
		v.back = make(chan string, 100)
		o := paho3.NewClientOptions().AddBroker(v.broker).SetClientID(v.name).SetCleanSession(false).SetTLSConfig(v.tls).
			SetMaxReconnectInterval(200 * time.Millisecond).SetResumeSubs(true)
		v.client = paho3.NewClient(o)
		if err := wait(v.client.Connect()); err != nil {
			return nil, err
		}
		if err := wait(v.client.Subscribe(topic, 2, func(_ paho3.Client, m paho3.Message) { v.back <- idOf(m.Payload()) })); err != nil {
			return nil, err
		}
	}
	return echo(ctx, v.name, which, v.back, func(qos byte, text []byte) error {
		return wait(v.client.Publish(topic, qos, false, text))
	})
}

func (v *pahoV3) end() {
	if v.client != nil {
		v.client.Disconnect(100)
	}
}

type pahoV5 struct {
	name, server string
	tls          *tls.Config
	client       *autopaho.ConnectionManager
	back         chan string
	stop         context.CancelFunc
}

func (v *pahoV5) round(ctx context.Context, which string) ([]string, error) {
	topic := "dt/" + v.name + "/telemetry"
	if v.client == nil {
		v.back = make(chan string, 100)
		u, err := url.Parse(v.server)
		if err != nil {
			return nil, err
		}
		c := autopaho.ClientConfig{ServerUrls: []*url.URL{u}, TlsCfg: v.tls, KeepAlive: 20, SessionExpiryInterval: 600,
			ReconnectBackoff: autopaho.NewConstantBackoff(200 * time.Millisecond)}
		c.ClientID = v.name
		c.OnPublishReceived = []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			v.back <- idOf(p.Packet.Payload)
			return true, nil
		}}
		var own context.Context
		own, v.stop = context.WithCancel(context.Background())
		if v.client, err = autopaho.NewConnection(own, c); err != nil {
			return nil, err
		}
		if err := v.client.AwaitConnection(ctx); err != nil {
			return nil, err
		}
		if _, err := v.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: 2}}}); err != nil {
			return nil, err
		}
	}
	if err := v.client.AwaitConnection(ctx); err != nil {
		return nil, err
	}
	return echo(ctx, v.name, which, v.back, func(qos byte, text []byte) error {
		for {
			_, err := v.client.Publish(ctx, &paho.Publish{Topic: topic, QoS: qos, Payload: text})
			if err == nil || ctx.Err() != nil || which == "first" {
				return err
			}
			time.Sleep(50 * time.Millisecond) // it may not have noticed the restart yet
		}
	})
}

func (v *pahoV5) end() {
	if v.stop != nil {
		v.stop()
	}
}
