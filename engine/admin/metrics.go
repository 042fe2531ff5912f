package admin

import (
	"maps"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

// The text format of Prometheus, version 0.0.4:
//
//	# HELP name what it is
//	# TYPE name counter
//	name{label="value",...} number
//
// A value's backslashes, quotes and line ends are escaped by a backslash.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// exposition writes metrics: all samples of a name stand together.
type exposition struct{ b []byte }

// family begins a metric.
func (x *exposition) family(name, kind, help string) {
	x.b = append(x.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// sample writes one value. labels are names and values in turn.
func (x *exposition) sample(name string, value float64, labels ...string) {
	x.b = append(x.b, name...)
	for i := 0; i < len(labels); i += 2 {
		x.b = append(x.b, ",{"[max(0, 1-i)])
		x.b = append(x.b, labels[i]...)
		x.b = append(x.b, `="`...)
		x.b = append(x.b, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(labels[i+1], "\ufffd"))...)
		x.b = append(x.b, '"')
	}
	if len(labels) > 0 {
		x.b = append(x.b, '}')
	}
	x.b = append(x.b, ' ')
	x.b = strconv.AppendFloat(x.b, value, 'g', -1, 64)
	x.b = append(x.b, '\n')
}

// metricsOf is a status as Prometheus reads it.
func metricsOf(s *run.Status) []byte {
	x := &exposition{}
	x.partitions(s)
	x.duplicates(s)
	x.channels(s)
	x.rejects(s)
	x.ingests(s)
	x.stages(s)
	x.state(s)
	x.sinks(s)
	x.checkpoint(s)
	x.process()
	return x.b
}

// perPartition is a metric with a sample for each partition of each channel.
type perPartition struct {
	name, kind, help string
	value            func(*run.PartitionStatus) (v float64, ok bool)
}

func count(f func(*run.PartitionStatus) float64) func(*run.PartitionStatus) (float64, bool) {
	return func(p *run.PartitionStatus) (float64, bool) { return f(p), true }
}

func (x *exposition) partitions(s *run.Status) {
	age := func(at time.Time) (float64, bool) { return s.Time.Sub(at).Seconds(), !at.IsZero() }
	for _, m := range []perPartition{
		{"tidemill_records_total", "counter", "Records that tasks have processed.", count(func(p *run.PartitionStatus) float64 { return float64(p.Records) })},
		{"tidemill_rows_total", "counter", "Rows decoded from records.", count(func(p *run.PartitionStatus) float64 { return float64(p.Rows) })},
		{"tidemill_ignored_values_total", "counter", "Values of fields that nobody asked for.", count(func(p *run.PartitionStatus) float64 { return float64(p.Ignored) })},
		{"tidemill_lost_records_total", "counter", "Records that the journal could not read.", count(func(p *run.PartitionStatus) float64 { return float64(p.Lost) })},
		{"tidemill_unnoted_records_total", "counter", "Records that would count twice if they were sent again: there was no room to remember their senders.", count(func(p *run.PartitionStatus) float64 { return float64(p.Unnoted) })},
		{"tidemill_lag_records", "gauge", "Records that are durable and not processed.", count(func(p *run.PartitionStatus) float64 { return float64(p.Lag) })},
		{"tidemill_lag_seconds", "gauge", "How long ago the latest processed record came, while others wait; else 0.", func(p *run.PartitionStatus) (float64, bool) {
			if p.Lag == 0 {
				return 0, true
			}
			return age(p.Received)
		}},
		{"tidemill_watermark_age_seconds", "gauge", "How far the event time of the latest row is behind the clock.", func(p *run.PartitionStatus) (float64, bool) { return age(p.Watermark) }},
		{"tidemill_journal_end_offset", "gauge", "Durable end of the partition.", count(func(p *run.PartitionStatus) float64 { return float64(p.End) })},
	} {
		x.family(m.name, m.kind, m.help)
		for i := range s.Channels {
			c := &s.Channels[i]
			for k := range c.Partitions {
				if v, ok := m.value(&c.Partitions[k]); ok {
					x.sample(m.name, v, "channel", c.Name, "partition", strconv.Itoa(k))
				}
			}
		}
	}
}

func (x *exposition) duplicates(s *run.Status) {
	x.family("tidemill_duplicates_total", "counter", "Duplicates that no pipeline sees: by packet, sent again within a session; by key, by the channel's dedupe.")
	for i := range s.Channels {
		c := &s.Channels[i]
		for k := range c.Partitions {
			p, part := &c.Partitions[k], strconv.Itoa(k)
			x.sample("tidemill_duplicates_total", float64(p.Resent), "channel", c.Name, "partition", part, "by", "packet")
			x.sample("tidemill_duplicates_total", float64(p.Repeated), "channel", c.Name, "partition", part, "by", "key")
		}
	}
}

func (x *exposition) channels(s *run.Status) {
	x.family("tidemill_journal_bytes", "gauge", "Bytes of the channel on disk.")
	for i := range s.Channels {
		x.sample("tidemill_journal_bytes", float64(s.Channels[i].Bytes), "channel", s.Channels[i].Name)
	}
	x.family("tidemill_journal_pending_bytes", "gauge", "Bytes appended and not yet on disk.")
	for i := range s.Channels {
		x.sample("tidemill_journal_pending_bytes", float64(s.Channels[i].Pending), "channel", s.Channels[i].Name)
	}
}

func (x *exposition) rejects(s *run.Status) {
	x.family("tidemill_rejects_total", "counter", "Rows rejected, by where and by reason: record, field, row, lost.")
	for _, r := range s.Rejects {
		x.sample("tidemill_rejects_total", float64(r.Count), "stage", r.Stage, "reason", r.Reason)
	}
}

func (x *exposition) ingests(s *run.Status) {
	x.family("tidemill_ingest_errors_total", "counter", "Attempts of an ingest that failed.")
	for i := range s.Ingests {
		x.sample("tidemill_ingest_errors_total", float64(s.Ingests[i].Errors), "ingest", s.Ingests[i].Address)
	}
	x.gauges(s)
	x.family("tidemill_ingest_events_total", "counter", "An ingest's own counters.")
	for i := range s.Ingests {
		x.events("tidemill_ingest_events_total", "ingest", s.Ingests[i].Address, s.Ingests[i].Counters)
	}
}

// gauges are a metric each, such as tidemill_ingest_connections.
func (x *exposition) gauges(s *run.Status) {
	names := map[string]bool{}
	for i := range s.Ingests {
		for name := range s.Ingests[i].Gauges {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x.family("tidemill_ingest_"+name, "gauge", "How many "+name+" an ingest has.")
		for i := range s.Ingests {
			if n, ok := s.Ingests[i].Gauges[name]; ok {
				x.sample("tidemill_ingest_"+name, float64(n), "ingest", s.Ingests[i].Address)
			}
		}
	}
}

func (x *exposition) events(name, label, address string, counters map[string]int64) {
	for _, event := range slices.Sorted(maps.Keys(counters)) {
		x.sample(name, float64(counters[event]), label, address, "event", event)
	}
}

func (x *exposition) stages(s *run.Status) {
	x.family("tidemill_stage_rows_total", "counter", "Rows that a stage has emitted.")
	for i := range s.Stages {
		x.sample("tidemill_stage_rows_total", float64(s.Stages[i].Rows), "stage", s.Stages[i].Address)
	}
	x.family("tidemill_stage_events_total", "counter", "A stage's own counters.")
	for i := range s.Stages {
		x.events("tidemill_stage_events_total", "stage", s.Stages[i].Address, s.Stages[i].Counters)
	}
}

func (x *exposition) state(s *run.Status) {
	x.family("tidemill_state_bytes", "gauge", "Memory of a table of a stage or channel, over all partitions, as of the latest tick.")
	for _, t := range s.State {
		x.sample("tidemill_state_bytes", float64(t.Bytes), "owner", t.Owner, "table", t.Table)
	}
	x.family("tidemill_state_entries", "gauge", "Entries of a table of a stage or channel, over all partitions, as of the latest tick.")
	for _, t := range s.State {
		x.sample("tidemill_state_entries", float64(t.Entries), "owner", t.Owner, "table", t.Table)
	}
}

func (x *exposition) sinks(s *run.Status) {
	for _, m := range []struct {
		name, kind, help string
		value            func(*run.SinkStatus) float64
	}{
		{"tidemill_sink_rows_total", "counter", "Rows that a sink has written, committed or not.", func(k *run.SinkStatus) float64 { return float64(k.Rows) }},
		{"tidemill_sink_errors_total", "counter", "Attempts of a sink that failed.", func(k *run.SinkStatus) float64 { return float64(k.Failures) }},
		{"tidemill_sink_waiting_batches", "gauge", "Batches in the spool before a sink.", func(k *run.SinkStatus) float64 { return float64(k.Waiting) }},
		{"tidemill_sink_failing", "gauge", "1 while the latest attempt of a sink has failed.", func(k *run.SinkStatus) float64 { return number(k.Failing) }},
	} {
		x.family(m.name, m.kind, m.help)
		for i := range s.Sinks {
			x.sample(m.name, m.value(&s.Sinks[i]), "sink", s.Sinks[i].Address)
		}
	}
	x.family("tidemill_stranded_batches", "gauge", "Batches of rows in the spool of a sink that is gone.")
	for _, sp := range s.Stranded {
		x.sample("tidemill_stranded_batches", float64(sp.Batches), "sink", sp.Address)
	}
	x.family("tidemill_sink_events_total", "counter", "A sink's own counters.")
	for i := range s.Sinks {
		x.events("tidemill_sink_events_total", "sink", s.Sinks[i].Address, s.Sinks[i].Counters)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (x *exposition) checkpoint(s *run.Status) {
	c := &s.Checkpoint
	one := func(name, kind, help string, value float64) {
		x.family(name, kind, help)
		x.sample(name, value)
	}
	one("tidemill_checkpoint_epoch", "gauge", "Number of the newest durable checkpoint.", float64(c.Epoch))
	one("tidemill_checkpoint_failures_total", "counter", "Attempts to write a checkpoint that failed.", float64(c.Failures))
	if c.At.IsZero() {
		return
	}
	one("tidemill_checkpoint_age_seconds", "gauge", "Since the newest checkpoint became durable.", s.Time.Sub(c.At).Seconds())
	one("tidemill_checkpoint_duration_seconds", "gauge", "From its request until the newest checkpoint was durable.", c.Duration.Seconds())
	one("tidemill_checkpoint_bytes", "gauge", "Bytes of the newest checkpoint's file.", float64(c.Bytes))
}

// process tells of the process, from the Go runtime's own metrics.
func (x *exposition) process() {
	for _, m := range []struct{ name, from, kind, help string }{
		{"go_goroutines", "/sched/goroutines:goroutines", "gauge", "Goroutines."},
		{"go_sched_gomaxprocs_threads", "/sched/gomaxprocs:threads", "gauge", "Processors that run Go code at one time: one, while one is enough."},
		{"go_memory_total_bytes", "/memory/classes/total:bytes", "gauge", "Memory that the Go runtime has mapped."},
		{"go_heap_objects_bytes", "/memory/classes/heap/objects:bytes", "gauge", "Memory of objects, live or not yet swept."},
		{"go_gc_cycles_total", "/gc/cycles/total:gc-cycles", "counter", "Garbage collections."},
	} {
		sample := []metrics.Sample{{Name: m.from}}
		if metrics.Read(sample); sample[0].Value.Kind() == metrics.KindUint64 {
			x.family(m.name, m.kind, m.help)
			x.sample(m.name, float64(sample[0].Value.Uint64()))
		}
	}
}
