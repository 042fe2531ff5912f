package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// publisher is one connection of a load generator.
type publisher struct {
	load   *load
	number int
	conn   net.Conn
	lines  [][]byte // of all publishers: this one sends every conns-th
	packet mqtt.Packet
	out    []byte
	in     []byte // bytes of an acknowledgement that is not whole yet
	buf    []byte
	sent   int64
	acked  int64
	due    func(n int64) time.Time // when the n-th message was sent, or should have been
	waits  []time.Duration
}

// publishPatience is how long a publisher waits for the answer to its CONNECT.
const publishPatience = 60 * time.Second

func newPublisher(l *load, number int, lines [][]byte) (*publisher, error) {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return nil, err
	}
	p := &publisher{load: l, number: number, conn: conn, lines: lines, packet: mqtt.Packet{Type: mqtt.Publish, QoS: 1, Topic: loadTopic(number)}, buf: make([]byte, 1024)}
	login := mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: mqtt.V311, CleanStart: true, ClientID: fmt.Appendf(nil, "bench-%d", number)}}
	if _, err := conn.Write(mqtt.Append(nil, &login, mqtt.V311)); err != nil {
		return nil, err
	}
	answer := make([]byte, 4)
	if err := conn.SetReadDeadline(time.Now().Add(publishPatience)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if answer[0] != byte(mqtt.Connack)<<4 || answer[3] != 0 {
		return nil, fmt.Errorf("connection %d: % x came for CONNECT", number, answer)
	}
	return p, conn.SetReadDeadline(time.Time{})
}

// mine is how many of the lines this publisher sends.
func (p *publisher) mine() int64 {
	return int64((len(p.lines) - p.number + p.load.conns - 1) / p.load.conns)
}

// add puts the next message into out.
func (p *publisher) add(payload []byte) {
	p.packet.ID, p.packet.Payload = idOf(p.sent), payload
	p.out = mqtt.Append(p.out, &p.packet, mqtt.V311)
	p.sent++
}

// idOf is the packet identifier of a connection's n-th message.
func idOf(n int64) uint16 { return uint16(n%60_000 + 1) }

func (p *publisher) line(n int64) []byte {
	return p.lines[p.number+int(n)*p.load.conns]
}

func (p *publisher) write() error {
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	return err
}

// read reads once and takes the acknowledgements that came. They come in order.
func (p *publisher) read() error {
	n, err := p.conn.Read(p.buf[len(p.in):])
	if err != nil {
		return err
	}
	b := p.buf[:len(p.in)+n]
	now := time.Now()
	for ; len(b) >= 4; b = b[4:] {
		if b[0] != byte(mqtt.Puback)<<4 || binary.BigEndian.Uint16(b[2:]) != idOf(p.acked) {
			return fmt.Errorf("connection %d: % x came for message %d", p.number, b[:4], p.acked)
		}
		p.waits = append(p.waits, now.Sub(p.due(p.acked)))
		p.acked++
	}
	p.in = p.buf[:copy(p.buf, b)]
	return nil
}

// flatOut keeps window messages in flight.
func (p *publisher) flatOut() error {
	all := p.mine()
	p.waits = make([]time.Duration, 0, all)
	times := make([]time.Time, p.load.window)
	p.due = func(n int64) time.Time { return times[n%int64(len(times))] }
	for p.acked < all {
		now := time.Now()
		for p.sent < all && p.sent-p.acked < int64(p.load.window) {
			times[p.sent%int64(len(times))] = now
			p.add(p.line(p.sent))
		}
		if err := p.write(); err != nil {
			return err
		}
		if err := p.read(); err != nil {
			return err
		}
	}
	return nil
}

// paced sends messages when they are due, whether or not earlier ones are
// acknowledged, so that a server that stalls is not asked less often. Every
// hundredth is a probe: a record of a device of the publisher's own whose temperature calls for an alarm, and takes it back.
func (p *publisher) paced(began time.Time) error {
	all := p.mine()
	p.waits = make([]time.Duration, 0, all)
	every := time.Duration(float64(p.load.conns) / p.load.rate * 1e9)
	first := began.Add(every * time.Duration(p.number) / time.Duration(p.load.conns))
	p.due = func(n int64) time.Time { return first.Add(every * time.Duration(n)) }
	done := make(chan error, 1)
	go func() {
		for p.acked < all {
			if err := p.read(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for n := range all {
		due := p.due(n)
		time.Sleep(time.Until(due))
		payload := p.line(n)
		if n%100 == 50 {
			payload = p.probe(n/100, due)
		}
		p.add(payload)
		if err := p.write(); err != nil {
			return err
		}
	}
	return <-done
}

func (p *publisher) probe(n int64, due time.Time) []byte {
	temp := 20 - 20*(n%2)
	return fmt.Appendf(nil, `{"device":"probe-%d","ts":%q,"site":"bench","lat":1,"lon":1,"speed":1,"temp":%d,"setpoint":2,"ambient":10,"door_open":false,"fuel":50,"battery":12.5,"seq":%d}`,
		p.number, due.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), temp, n)
}
