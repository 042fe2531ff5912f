package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/publish"
	"github.com/tidemill/tidemill/engine/simulate"
)

// mqttFlags say how a fleet publishes.
type mqttFlags struct {
	url, protocol, user, passwordEnv string
	topic, resume, every             string
	ca, cert, key                    string
	tlsInsecure                      bool
	connections, qos, inflight       int
	rate                             float64
}

func (m *mqttFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&m.url, "url", "mqtt://127.0.0.1:1883", "with --to mqtt: the broker, mqtt:// or mqtts://")
	fs.StringVar(&m.topic, "topic", "dt/{site}/{asset_type}/{device}/telemetry", "with --to mqtt: `TOPIC` of a device's records")
	fs.IntVar(&m.connections, "connections", 0, "with --to mqtt: connections that the devices share (default: one a device)")
	fs.IntVar(&m.qos, "qos", 1, "with --to mqtt: quality of service, 0 to 2")
	fs.IntVar(&m.inflight, "in-flight", 16, "with --to mqtt: messages of a connection that are not acknowledged yet at most")
	fs.Float64Var(&m.rate, "rate", 0, "with --to mqtt: messages a second at most (default: no limit)")
	fs.StringVar(&m.protocol, "protocol", "5", "with --to mqtt: version of MQTT, 5 or 3.1.1")
	fs.StringVar(&m.user, "user", "", "with --to mqtt: user name")
	fs.StringVar(&m.passwordEnv, "password-env", "", "with --to mqtt: `NAME` of the environment variable that holds the password")
	fs.StringVar(&m.ca, "ca", "", "with mqtts://: `FILE` of the certificates that sign the broker's, PEM (default: the system's)")
	fs.StringVar(&m.cert, "cert", "", "with mqtts://: `FILE` of the certificate that the clients show, PEM")
	fs.StringVar(&m.key, "key", "", "with mqtts://: `FILE` of its key, PEM")
	fs.BoolVar(&m.tlsInsecure, "tls-insecure", false, "with mqtts://: take any certificate of the broker")
	fs.StringVar(&m.resume, "resume", "", "with --to mqtt: `FILE` that keeps what was acknowledged, so that another run goes on there")
	fs.StringVar(&m.every, "status-every", "10s", "with --to mqtt: how often to tell how it is going")
}

// options makes the options of the crowd.
func (m *mqttFlags) options(a *app) (o publish.Options, every time.Duration, err error) {
	o = publish.Options{Env: a.env, QoS: byte(m.qos), Inflight: m.inflight, User: m.user, Random: rand.Int64N, Dials: 64}
	address, encrypted, err := publish.ParseURL(m.url)
	if err != nil {
		return o, 0, fmt.Errorf("--url: %w", err)
	}
	o.Address = address
	switch m.protocol {
	case "5":
		o.Version = mqtt.V5
	case "3.1.1":
		o.Version = mqtt.V311
	default:
		return o, 0, fmt.Errorf("--protocol is 5 or 3.1.1, not %q", m.protocol)
	}
	if m.passwordEnv != "" {
		password, ok := a.env.Var(m.passwordEnv)
		if !ok {
			return o, 0, fmt.Errorf("--password-env: the environment variable %s is not set", m.passwordEnv)
		}
		o.Password = password
	}
	every, err = statusEvery(m.every)
	switch {
	case err != nil:
		return o, 0, err
	case m.qos < 0 || m.qos > 2:
		return o, 0, fmt.Errorf("--qos is 0, 1 or 2, not %d", m.qos)
	case m.inflight < 1 || m.inflight > 65_534:
		return o, 0, fmt.Errorf("--in-flight lies from 1 to 65534; %d does not", m.inflight)
	case m.connections < 0:
		return o, 0, errors.New("--connections is not negative")
	case !(m.rate >= 0):
		return o, 0, errors.New("--rate is not negative")
	case m.passwordEnv != "" && m.user == "":
		return o, 0, errors.New("--password-env needs --user")
	case !encrypted && (m.ca != "" || m.cert != "" || m.key != "" || m.tlsInsecure):
		return o, 0, errors.New("--ca, --cert, --key and --tls-insecure are for mqtts://")
	case (m.cert == "") != (m.key == ""):
		return o, 0, errors.New("--cert and --key belong together")
	}
	if encrypted {
		o.TLS, err = m.tls()
	}
	return o, max(every, 100*time.Millisecond), err
}

func (m *mqttFlags) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: m.tlsInsecure}
	if m.ca != "" {
		text, err := os.ReadFile(m.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s holds no certificate in PEM", m.ca)
		}
	}
	if m.cert != "" {
		pair, err := tls.LoadX509KeyPair(m.cert, m.key)
		if err != nil {
			return nil, fmt.Errorf("--cert, --key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// checkTopic checks a template of topics.
func checkTopic(template string) error {
	topic := topicOf(template, "device", "site")
	switch {
	case topic == "" || len(topic) > 1024 || !utf8.ValidString(topic) || strings.ContainsAny(topic, "+#\x00"):
		return fmt.Errorf("--topic: %q cannot be a topic", template)
	case strings.ContainsAny(topic, "{}"):
		return fmt.Errorf("--topic: %q; there are {site}, {asset_type} and {device}", template)
	}
	return nil
}

func topicOf(template, device, site string) string {
	return strings.NewReplacer("{site}", site, "{asset_type}", "trailer", "{device}", device).Replace(template)
}

// dispatcher sends a fleet's records to a broker.
type dispatcher struct {
	app     *app
	flags   *simulateFlags
	fleet   *simulate.Fleet
	crowd   *publish.Crowd
	memory  *resume // nil: none
	clients []*publish.Client
	topics  []string
	offline []bool
	seen    []uint32 // records that the memory covers, by device
	began   time.Time

	mu    sync.Mutex
	now   int64 // the fleet's time, us
	sent  int64
	shown publish.Stats
}

// backlog is how many messages may wait: enough for every device of a large
// fleet to have some, little enough for memory.
const backlog = 200_000

// publish sends the fleet's records to a broker until the fleet's end or an interrupt.
func (a *app) publish(f *simulateFlags, o simulate.Options) (err error) {
	po, every, err := f.mqtt.options(a)
	if err == nil {
		err = checkTopic(f.mqtt.topic)
	}
	if err != nil {
		return err
	}
	p := &dispatcher{app: a, flags: f, began: a.env.Clock.Now()}
	if f.mqtt.resume != "" {
		if p.memory, err = openResume(f.mqtt.resume, &o); err != nil {
			return failed(err)
		}
		defer func() { err = failed(errors.Join(err, p.memory.close())) }()
		po.Done = func(device int, _ mqtt.Reason) { p.memory.done(device) }
	}
	if p.fleet, err = simulate.New(o); err != nil {
		return err
	}
	devices := o.Devices
	if devices == 0 {
		const usual = 100
		devices = usual
	}
	p.topics, p.offline, p.seen = make([]string, devices+1), make([]bool, devices+1), make([]uint32, devices+1)
	p.clients = make([]*publish.Client, devices+1)
	if n := f.mqtt.connections; n > 0 {
		p.clients = make([]*publish.Client, n)
	} else {
		p.fleet.OnLink(p.link)
	}
	p.crowd = publish.New(po)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	return failed(p.run(ctx, cancel, every))
}

func (p *dispatcher) run(ctx context.Context, cancel func(), every time.Duration) error {
	quit := make(chan struct{})
	var watching sync.WaitGroup
	var denied error
	watching.Go(func() { denied = p.watch(quit, every, cancel) })
	err := p.send(ctx)
	if err == nil { // at the end everybody is back
		for _, cl := range p.clients {
			if cl != nil {
				cl.Away(false)
			}
		}
		err = p.crowd.Below(ctx, 1)
	}
	if ctx.Err() != nil { // interrupted; the summary tells what was not acknowledged
		p.settle()
		err = nil
	}
	close(quit)
	watching.Wait()
	p.crowd.Close()
	p.summary(p.app.err)
	s := p.crowd.Stats()
	switch {
	case denied != nil:
		return denied
	case err == nil && s.Refused > 0:
		return fmt.Errorf("the broker has not taken %s messages: %s", thousands(s.Refused), s.Trouble)
	}
	return err
}

// settle waits a little for what is on its way to be acknowledged.
func (p *dispatcher) settle() {
	const grace, look = 3 * time.Second, 20 * time.Millisecond
	for end := p.app.env.Clock.Now().Add(grace); p.app.env.Clock.Now().Before(end); p.app.sleep(look) {
		s := p.crowd.Stats()
		if s.Connected == 0 || s.Published == s.Acknowledged+s.Refused {
			return
		}
	}
}

// send gives all records to the clients, at their time.
func (p *dispatcher) send(ctx context.Context) error {
	var line []byte
	var first int64
	covered := true
	began := p.app.env.Clock.Now()
	for n := int64(0); ; {
		var at int64
		var ok bool
		if line, at, ok = p.fleet.Next(line[:0]); !ok {
			return nil
		}
		device, site := p.fleet.Sender()
		if p.memory != nil && p.seen[device] < p.memory.counts[device] {
			p.seen[device]++
			covered = true
			continue
		}
		if covered {
			first, covered = p.from(began, first, at, n), false
		}
		if err := p.wait(ctx, began, first, at, n); err != nil {
			return err
		}
		n++
		p.mu.Lock()
		p.now, p.sent = at, n
		p.mu.Unlock()
		if p.topics[device] == "" {
			p.topics[device] = topicOf(p.flags.mqtt.topic, simulate.DeviceName(device), site)
		}
		p.client(device).Publish(p.topics[device], bytes.TrimSuffix(line, []byte("\n")), device)
		if n == 1 { // time begins to pass when the broker has answered
			if err := p.crowd.Below(ctx, 1); err != nil {
				return err
			}
			began = p.app.env.Clock.Now()
		}
	}
}

// from is the fleet's time when it began, us, as the n-th record has it that comes behind some that an earlier run has sent: none passes with
// those. Otherwise a device that was away then, and has old records to send, would have all others wait until the fleet's time has come
// from there to where they stood.
func (p *dispatcher) from(began time.Time, first, at, n int64) int64 {
	if n == 0 {
		return at
	}
	gone := float64(p.app.env.Clock.Now().Sub(began).Microseconds()) * p.flags.pace
	return max(first, at-int64(gone))
}

// wait waits until the record is due, and until there is room for it. With a
// pace the fleet's time never overtakes the clock.
func (p *dispatcher) wait(ctx context.Context, began time.Time, first, at, n int64) error {
	if err := p.crowd.Below(ctx, backlog); err != nil {
		return err
	}
	due := began
	if p.flags.pace > 0 {
		due = began.Add(time.Duration(float64(at-first) / p.flags.pace * 1e3))
		if own := time.UnixMicro(at); own.After(due) {
			due = own
		}
	}
	if rate := p.flags.mqtt.rate; rate > 0 {
		if turn := began.Add(time.Duration(float64(n) / rate * 1e9)); turn.After(due) {
			due = turn
		}
	}
	// Records that are due within little of each other go out together.
	const little = 2 * time.Millisecond
	wait := due.Sub(p.app.env.Clock.Now())
	if wait < little {
		return ctx.Err()
	}
	over := make(chan struct{})
	defer p.app.env.Clock.After(wait, func() { close(over) })()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *dispatcher) client(device int) *publish.Client {
	id, at := "", device
	if n := p.flags.mqtt.connections; n > 0 {
		at = device % n
		id = fmt.Sprintf("tidemill-simulate-%d", at)
	} else {
		id = simulate.DeviceName(device)
	}
	if p.clients[at] == nil {
		p.clients[at] = p.crowd.Client(id)
		if p.offline[device] {
			p.clients[at].Away(true)
		}
	}
	return p.clients[at]
}

// link cuts a device off, or lets it connect again.
func (p *dispatcher) link(device int, online bool) {
	p.offline[device] = !online
	if cl := p.clients[device]; cl != nil {
		cl.Away(!online)
	}
}

// watch tells how it is going, and ends everything when the broker lets nobody in.
func (p *dispatcher) watch(quit <-chan struct{}, every time.Duration, cancel func()) error {
	const look = 200 * time.Millisecond
	next := p.app.env.Clock.Now().Add(every)
	for {
		tick := make(chan struct{})
		stop := p.app.env.Clock.After(min(look, every), func() { close(tick) })
		select {
		case <-tick:
		case <-quit:
			stop()
			return nil
		}
		s := p.crowd.Stats()
		if s.Denied > 0 && s.Connects == 0 {
			cancel()
			return errors.New(s.Trouble)
		}
		if now := p.app.env.Clock.Now(); !now.Before(next) {
			next = now.Add(every)
			p.tell(p.app.err, s, every)
		}
	}
}

func (p *dispatcher) tell(to io.Writer, s publish.Stats, every time.Duration) {
	p.mu.Lock()
	at, last := p.now, p.shown
	p.shown = s
	p.mu.Unlock()
	line := fmt.Sprintf("fleet: %s published (%s/s), %s acknowledged, %s, %s connections", thousands(s.Published),
		thousands(int64(float64(s.Published-last.Published)/every.Seconds())), thousands(s.Acknowledged), p.latencies(), thousands(s.Connected))
	if s.Waiting > s.Published-s.Acknowledged-s.Refused {
		line += fmt.Sprintf(", %s waiting", thousands(s.Waiting-(s.Published-s.Acknowledged-s.Refused)))
	}
	if at > 0 {
		line += ", its time " + time.UnixMicro(at).UTC().Format("2006-01-02 15:04:05")
	}
	if s.Failed > last.Failed || s.Refused > last.Refused {
		line += "; " + s.Trouble
	}
	fmt.Fprintln(to, line)
}

func (p *dispatcher) latencies() string {
	l := p.crowd.Latencies(0.5, 0.99)
	return fmt.Sprintf("publish to acknowledgement p50 %s p99 %s", l[0].Round(10*time.Microsecond), l[1].Round(10*time.Microsecond))
}

func (p *dispatcher) summary(to io.Writer) {
	s := p.crowd.Stats()
	d := p.app.env.Clock.Now().Sub(p.began)
	trouble := ""
	if s.Acknowledged < s.Published+s.Waiting && s.Trouble != "" {
		trouble = "; " + s.Trouble
	}
	fmt.Fprintf(to, "fleet: %s published and %s acknowledged in %s, %s; %s connections were made, %s messages were sent again, %s refused, %s not sent or not acknowledged%s\n",
		thousands(s.Published), thousands(s.Acknowledged), d.Round(10*time.Millisecond), p.latencies(),
		thousands(s.Connects), thousands(s.SentAgain), thousands(s.Refused), thousands(s.Waiting), trouble)
}
