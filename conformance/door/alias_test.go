package door

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// aliased is a message as a client saw it: its topic on the wire, its alias, and the topic that the library makes of both.
type aliased struct {
	Wire  string
	Alias uint16
	Topic string
}

// TestTopicAliases: two libraries' clients allow topic aliases, get the second message of a topic with one and the third
// by the alias alone, and know the topic all the same; also those of a second topic, and after they came back.
func TestTopicAliases(t *testing.T) {
	w := newWorld(t, "")
	w.start()
	w.listening()
	defer w.stop()
	for name, open := range map[string]func(t *testing.T, w *world) <-chan aliased{"npm mqtt": npmAliases, "paho for Go": pahoAliases} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time, aliases of the connection before are no more
				got := open(t, w)
				for round := range 3 {
					for _, device := range []string{"alias1", "alias2"} {
						publishOne(t, w, device)
						topic := "dt/" + device + "/telemetry"
						select {
						case m := <-got:
							if wantWire := map[bool]string{true: "", false: topic}[round == 2]; m.Topic != topic || m.Wire != wantWire || (m.Alias > 0) != (round > 0) {
								t.Errorf("message %d of %s came as %+v", round+1, topic, m)
							}
						case <-time.After(2 * time.Minute):
							t.Fatalf("message %d of %s does not come\n%s", round+1, topic, w.said)
						}
					}
				}
			}
		})
	}
}

func publishOne(t *testing.T, w *world, name string) {
	t.Helper()
	d := &device{name: name, qos: 1, clean: true, payload: func(n int) string { return `{"id":"x"}` },
		dial: func() (net.Conn, error) { return net.Dial("tcp", w.plain) }}
	must(t, d.connect())
	defer d.close()
	must(t, d.publish(1))
	_, err := d.answer()
	must(t, err)
}

func npmAliases(t *testing.T, w *world) <-chan aliased {
	v := &nodeVisitor{said: &text{}}
	v.cmd = exec.Command("node", "aliases.mjs", "mqtt://"+w.plain)
	v.cmd.Stderr = v.said
	out, err := v.cmd.StdoutPipe()
	must(t, err)
	must(t, v.cmd.Start())
	t.Cleanup(v.end)
	lines := json.NewDecoder(out)
	var ready aliased
	if err := lines.Decode(&ready); err != nil {
		t.Fatalf("%v\n%s", err, v.said)
	}
	got := make(chan aliased, 10)
	go func() {
		for m := (aliased{}); lines.Decode(&m) == nil; m = (aliased{}) {
			got <- m
		}
	}()
	return got
}

func pahoAliases(t *testing.T, w *world) <-chan aliased {
	nc, err := net.Dial("tcp", w.plain)
	must(t, err)
	got, wire := make(chan aliased, 10), make(chan aliased, 10)
	router := paho.NewStandardRouter()
	for _, name := range []string{"alias1", "alias2"} { // the handler that is called tells what the router makes of an alias
		topic := fmt.Sprintf("dt/%s/telemetry", name)
		router.RegisterHandler(topic, func(*paho.Publish) { m := <-wire; m.Topic = topic; got <- m })
	}
	c := paho.NewClient(paho.ClientConfig{Conn: nc, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			m := aliased{Wire: p.Packet.Topic}
			if a := p.Packet.Properties.TopicAlias; a != nil {
				m.Alias = *a
			}
			wire <- m
			router.Route(p.Packet.Packet())
			return true, nil
		}}})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	most := uint16(5)
	_, err = c.Connect(ctx, &paho.Connect{ClientID: "pahoaliases", KeepAlive: 30, CleanStart: true, Properties: &paho.ConnectProperties{TopicAliasMaximum: &most}})
	must(t, err)
	t.Cleanup(func() { _ = c.Disconnect(&paho.Disconnect{}) })
	_, err = c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "dt/+/telemetry", QoS: 1}}})
	must(t, err)
	return got
}
