package sinkmqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/publish"
	"github.com/tidemill/tidemill/engine/stage"
)

// sink publishes the rows of one Write and waits until all are confirmed. When that takes
// too long the engine writes the same rows again, and what is on its way then is waited for.
type sink struct {
	op     stage.Opening
	opts   *options
	crowd  *publish.Crowd // nil: the own ingest's server
	client *publish.Client
	place  uint64
	step   chan struct{} // told when a row is confirmed

	mu    sync.Mutex
	turn  int     // number of the Write that is not done
	where uint64  // its place
	state []state // of each of its rows
	why   []mqtt.Reason
	left  int // rows that are on their way
}

// state is how far a row is.
type state byte

const (
	waiting state = iota
	sent
	done
	refused
)

func open(op stage.Opening, o *options) (stage.Sink, error) {
	s := &sink{op: op, opts: o, step: make(chan struct{}, 1)}
	if o.through != "" {
		return s, nil
	}
	po := o.publish
	po.Env, po.Random, po.Done = op.Env, rand.Int64N, s.confirm
	if o.tls != nil {
		var err error
		if po.TLS, err = o.tls.load(); err != nil {
			return nil, err
		}
	}
	s.crowd = publish.New(po)
	s.client = s.crowd.Client(o.id)
	return s, nil
}

func (t *tlsArgs) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", t.Cert, t.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// confirm is told of every row by the crowd.
func (s *sink) confirm(tag int, r mqtt.Reason) {
	turn, row := tag>>32, tag&(1<<32-1)
	s.mu.Lock()
	if turn != s.turn { // of rows that are not waited for any more
		s.mu.Unlock()
		return
	}
	s.state[row], s.why[row] = done, r
	if r.Failed() {
		s.state[row] = refused
	}
	s.left--
	s.mu.Unlock()
	select {
	case s.step <- struct{}{}:
	default:
	}
}

// Place tells where the rows of the next Write stand; see stage.Placed.
func (s *sink) Place(place uint64) { s.place = place }

// begin makes the state of n rows, unless it is there from an attempt before.
func (s *sink) begin(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || len(s.state) != n || s.where != s.place {
		s.state, s.why = make([]state, n), make([]mqtt.Reason, n)
		s.where, s.left = s.place, 0
		s.turn++
	}
}

func (s *sink) Write(ctx context.Context, in int, rows arrow.RecordBatch) error {
	topics := s.opts.topics[in].Eval(rows, s.op.Alloc)
	defer topics.Release()
	payloads := s.opts.bodies.Rows(in, rows, s.op.Alloc)
	s.begin(len(payloads))
	for i, payload := range payloads {
		s.mu.Lock()
		fresh := s.state[i] == waiting
		s.mu.Unlock()
		if !fresh {
			continue
		}
		topic, wrong := topicOf(topics.(*array.String), i)
		switch {
		case wrong != "":
		case payload == nil:
			wrong = "the payload is null"
		default:
			if err := s.send(i, topic, payload); err != nil {
				return err
			}
			continue
		}
		s.reject(rows, i, wrong)
		s.set(i, done)
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.finish(rows)
}

func (s *sink) set(row int, to state) {
	s.mu.Lock()
	s.state[row] = to
	s.mu.Unlock()
}

// maxTopic is how long a topic may be, bytes; MQTT 5.0, section 1.5.4.
const maxTopic = 65_535

func topicOf(topics *array.String, row int) (topic, wrong string) {
	if topics.IsNull(row) {
		return "", "the topic is null"
	}
	topic = topics.Value(row)
	switch {
	case topic == "":
		return "", "the topic is empty"
	case len(topic) > maxTopic:
		return "", fmt.Sprintf("the topic has %d bytes; %d are allowed", len(topic), maxTopic)
	case !utf8.ValidString(topic) || strings.Contains(topic, "\x00"):
		return "", "the topic is no text that MQTT allows"
	case strings.ContainsAny(topic, "+#"):
		return "", fmt.Sprintf("the topic %.200q has a wildcard", topic)
	}
	return topic, ""
}

func (s *sink) reject(rows arrow.RecordBatch, row int, reason string) {
	s.op.Count("rejected", 1)
	s.op.Reject(stage.Reject{Rows: rows, Row: row, Reason: reason})
}

// send hands a row over.
func (s *sink) send(row int, topic string, payload []byte) error {
	if s.crowd == nil {
		m := &mqtt.Message{Topic: topic, Payload: payload, QoS: s.opts.publish.QoS, Retain: s.opts.publish.Retain}
		if !s.op.Hub.Publish(s.opts.through, m) {
			return fmt.Errorf("%s is not open", s.opts.through)
		}
		s.op.Count("published", 1)
		s.set(row, done)
		return nil
	}
	s.mu.Lock()
	s.state[row] = sent
	s.left++
	tag := s.turn<<32 | row
	s.mu.Unlock()
	s.client.Publish(topic, payload, tag)
	return nil
}

// wait waits until no row is on its way; not for long where nothing moves.
func (s *sink) wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		left := s.left
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		late := make(chan struct{})
		stop := s.op.Env.Clock.After(s.opts.timeout, func() { close(late) })
		select {
		case <-s.step:
			stop()
		case <-ctx.Done():
			stop()
			return ctx.Err()
		case <-late:
			why := errors.New("it has not confirmed anything in time")
			if st := s.crowd.Stats(); st.Connected == 0 && st.Trouble != "" {
				why = errors.New(st.Trouble)
			}
			return fmt.Errorf("%s: %d rows wait: %w", s.opts.url, left, why)
		}
	}
}

// finish looks at what the broker has refused, and forgets the rows when none has to be sent again.
func (s *sink) finish(rows arrow.RecordBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var again error
	for i, st := range s.state {
		switch {
		case st != refused:
		case forGood(s.why[i]):
			s.reject(rows, i, fmt.Sprintf("%s does not want it: %s", s.opts.url, s.why[i]))
			s.state[i] = done
		default:
			again = fmt.Errorf("%s does not take it: %s", s.opts.url, s.why[i])
			s.state[i] = waiting
		}
	}
	if again == nil {
		if s.crowd != nil {
			s.op.Count("published", int64(len(s.state)))
		}
		s.state, s.why = nil, nil
	}
	return again
}

// forGood tells whether a reason is about the row.
func forGood(r mqtt.Reason) bool {
	return r == mqtt.TopicInvalid || r == mqtt.PayloadInvalid || r == mqtt.PacketTooLarge
}

// Prepare has nothing to make durable: the spool before the sink is.
func (s *sink) Prepare(context.Context, uint64) ([]byte, error) { return []byte{1}, nil }
func (s *sink) Commit(context.Context, []byte) error            { return nil }
func (s *sink) Recover(context.Context, []byte) error           { return nil }

func (s *sink) Close() error {
	if s.crowd != nil {
		s.crowd.Close()
	}
	return nil
}

var (
	_ stage.Sink   = (*sink)(nil)
	_ stage.Placed = (*sink)(nil)
)
