package journal

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestLines: lines are records, in the order of their batch and after its
// records, also in a block that has seen topics and envelopes.
func TestLines(t *testing.T) {
	for _, named := range []bool{false, true} {
		l, _ := mustOpen(t, env.NewSim(1).Env(), Options{Partitions: 2})
		b := Batch{Source: "s", Pos: 100, LinesReceived: 7}
		var want [2]string
		for i := range 10 {
			r := Record{Partition: i % 2, Payload: fmt.Appendf(nil, "r%d", i), Received: 5, Pos: uint64(i + 1)}
			if named {
				r.Topic, r.Envelope = fmt.Sprint("t", i%3), []byte{1, byte(i)}
			}
			b.Records = append(b.Records, r)
			want[i%2] += fmt.Sprintf("%s %s 5, ", r.Payload, r.Topic)
		}
		for i := range 9 {
			b.Lines = append(b.Lines, Line{Partition: i % 2, Payload: fmt.Appendf(nil, "line %d", i), Pos: uint64(20 + i)})
			want[i%2] += fmt.Sprintf("line %d  7, ", i)
		}
		mustAppend(t, l, b)
		mustFlush(t, l)
		for p := range want {
			if got := textOf(t, l, p); got != want[p] {
				t.Errorf("partition %d holds\n%s, not\n%s", p, got, want[p])
			}
		}
		if p := l.Appender().Position("s"); p.Committed != 100 {
			t.Errorf("the source stands at %+v", p)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// textOf returns payload, topic and receive time of all records of a partition.
func textOf(t *testing.T, l Log, partition int) (out string) {
	r, err := l.Read(partition, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		for i := range b.Count {
			topic := b.Topics[0]
			if b.TopicOf != nil {
				topic = b.Topics[b.TopicOf[i]]
			}
			out += fmt.Sprintf("%s %s %d, ", b.Record(i), topic, b.Received[i])
		}
		b.Release()
	}
}
