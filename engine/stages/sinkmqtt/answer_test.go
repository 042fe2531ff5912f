package sinkmqtt

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// attempt is a Write before a broker that is not there; the test gives its answers.
type attempt struct {
	t      *testing.T
	s      *sink
	turn   int
	end    chan error
	cancel func()
}

// begin writes rows, of which so many are sent.
func begin(t *testing.T, r *rig, place uint64, rows arrow.RecordBatch, sent int) *attempt {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &attempt{t: t, s: r.Sink.(*sink), end: make(chan error, 1), cancel: cancel}
	a.s.Place(place)
	go func() { a.end <- a.s.Write(ctx, 0, rows) }()
	for stop := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		a.s.mu.Lock()
		left, begun := a.s.left, a.s.where == place
		a.turn = a.s.turn
		a.s.mu.Unlock()
		if begun && left == sent {
			return a
		}
		if time.Now().After(stop) {
			t.Fatalf("%d rows are on their way, want %d", left, sent)
		}
	}
}

func (a *attempt) answer(row int, r mqtt.Reason) { a.s.confirm(a.turn<<32|row, r) }

// waits fails when the Write is over.
func (a *attempt) waits() {
	a.t.Helper()
	select {
	case err := <-a.end:
		a.t.Fatalf("it does not wait: %v", err)
	case <-time.After(30 * time.Millisecond):
	}
}

func (a *attempt) over() error {
	a.t.Helper()
	select {
	case err := <-a.end:
		return err
	case <-time.After(10 * time.Second):
		a.t.Fatal("it waits for ever")
		return nil
	}
}

const nobody = "url = \"mqtt://127.0.0.1:1\"\ntopic = \"alarms/${device}\"\n"

// TestAnswers: a Write is over when every row has its answer. A row that is not taken for now is sent by the next attempt, and no other;
// what nobody will ever take is rejected once.
func TestAnswers(t *testing.T) {
	rows := parse(t, "device:string\tn:number\na\t1\nb\t2\nc/+\t3\nd\t4\n")
	r := open1(t, nobody, rows.Schema(), nil)
	a := begin(t, r, 1, rows, 3)
	a.answer(0, mqtt.Success)
	a.answer(1, mqtt.QuotaExceeded)
	a.waits()
	a.answer(3, mqtt.TopicInvalid)
	if err := a.over(); err == nil || !strings.Contains(err.Error(), "does not take it: "+mqtt.QuotaExceeded.String()) {
		t.Errorf("one is not taken: %v", err)
	}
	a = begin(t, r, 1, rows, 1)
	a.waits()
	a.answer(1, mqtt.Success)
	if err := a.over(); err != nil {
		t.Error(err)
	}
	want := []string{`2: the topic "alarms/c/+" has a wildcard`, "3: mqtt://127.0.0.1:1 does not want it: " + mqtt.TopicInvalid.String()}
	if !slices.Equal(r.rejects, want) {
		t.Errorf("rejects %q, want %q", r.rejects, want)
	}
	a = begin(t, r, 1, rows, 3) // the same place, but the Write before was done
	a.cancel()
	if err := a.over(); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
}

// TestLateAnswers: an answer to rows that are not waited for any more counts for no others; an attempt goes on with the rows of the one before only where they are the same.
func TestLateAnswers(t *testing.T) {
	r := open1(t, nobody, numbered(t, 0, 1).Schema(), nil)
	cut := func(a *attempt) *attempt {
		t.Helper()
		a.cancel()
		if err := a.over(); !errors.Is(err, context.Canceled) {
			t.Errorf("cut short: %v", err)
		}
		return a
	}
	first := cut(begin(t, r, 1, numbered(t, 0, 3), 3))
	second := cut(begin(t, r, 2, numbered(t, 3, 4), 4))
	third := begin(t, r, 3, numbered(t, 7, 4), 4)
	for row := range 3 {
		first.answer(row, mqtt.Success)
		second.answer(row, mqtt.Success)
	}
	third.waits()
	third.answer(0, mqtt.Success)
	third = cut(third)
	third = begin(t, r, 3, numbered(t, 7, 4), 3)
	for row := 1; row < 4; row++ {
		third.waits()
		third.answer(row, mqtt.Success)
	}
	if err := third.over(); err != nil {
		t.Error(err)
	}
	cut(begin(t, r, 4, numbered(t, 11, 3), 3))
	cut(begin(t, r, 4, numbered(t, 11, 5), 5))
	if len(r.rejects) > 0 {
		t.Errorf("rejects %q", r.rejects)
	}
}
