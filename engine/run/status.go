package run

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/plan"
)

// Status is what an engine is doing, for whoever looks on. Counts are since
// the process started. It is a copy: nothing in it moves.
type Status struct {
	Time       time.Time        `json:"time"`
	Began      time.Time        `json:"began"`  // when the engine was opened
	Plan       string           `json:"plan"`   // digest
	Config     string           `json:"config"` // digest of the files
	Checkpoint CheckpointStatus `json:"checkpoint"`
	Ingests    []IngestStatus   `json:"ingests"`
	Channels   []ChannelStatus  `json:"channels"`
	Stages     []StageStatus    `json:"stages"`
	Sinks      []SinkStatus     `json:"sinks"`
	State      []StateStatus    `json:"state,omitempty"`   // sorted by owner and table
	Rejects    []RejectStatus   `json:"rejects,omitempty"` // sorted by stage and reason
	// Stranded are spools of sinks that are gone, with what was not delivered.
	Stranded []plan.HeldSpool `json:"stranded,omitempty"`
}

// RejectStatus tells how many rows were rejected, where and why: "record" (no
// row could be made of it), "field" (the row lives on with a null), "row" (the
// stage, or the channel's key or time, refused it), "lost" (damage in the journal).
type RejectStatus struct {
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// CheckpointStatus tells of the newest durable checkpoint.
type CheckpointStatus struct {
	Epoch    uint64        `json:"epoch"` // 0: none yet
	At       time.Time     `json:"at,omitzero"`
	Duration time.Duration `json:"duration_ns"` // from the request until it was durable
	Bytes    int           `json:"bytes"`       // of its file, and what it added to those of tables that are written seldom
	Failures int64         `json:"failures"`    // attempts to write one that failed
	// LastError is of the latest attempt; "" when it went well.
	LastError string `json:"last_error,omitempty"`
}

// IngestStatus tells of one ingest.
type IngestStatus struct {
	Address string `json:"address"`
	Ended   bool   `json:"ended"`
	Done    int64  `json:"done_bytes"` // how far it is; of Total where that is known, else 0 both
	Total   int64  `json:"total_bytes"`
	Errors  int64  `json:"errors"`
	// LastError is of the latest attempt, such as a port that is taken; "" when it went well.
	LastError string `json:"last_error,omitempty"`
	// Counters are the ingest's own, such as "requests".
	Counters map[string]int64 `json:"counters,omitempty"`
	// Gauges are how many there are of what now, such as "connections".
	Gauges map[string]int64 `json:"gauges,omitempty"`
}

// ChannelStatus tells of one channel and the tasks that read it.
type ChannelStatus struct {
	Name       string            `json:"name"`
	Fed        bool              `json:"fed,omitempty"`        // by pipelines: what comes has been counted where it came from
	Pending    int               `json:"pending_bytes"`        // appended and not yet on disk
	LastError  string            `json:"last_error,omitempty"` // why appends wait: the disk is full; "" when they do not
	Bytes      int64             `json:"journal_bytes"`        // on disk
	Partitions []PartitionStatus `json:"partitions"`
}

// PartitionStatus tells of one partition. Next and what follows are of its task.
type PartitionStatus struct {
	Earliest uint64 `json:"earliest"` // oldest offset kept
	End      uint64 `json:"end"`      // durable end
	Next     uint64 `json:"next"`     // offset after the last record processed
	Lag      uint64 `json:"lag"`      // records durable and not processed
	Records  int64  `json:"records"`
	Rows     int64  `json:"rows"` // decoded from records
	Rejects  int64  `json:"rejects"`
	Ignored  int64  `json:"ignored"` // values of shapes that are not taken
	Lost     int64  `json:"lost"`    // records that the journal could not read
	// Resent and Repeated are duplicates, which no pipeline sees: records that a sender sent again within
	// its session, and rows that the channel's dedupe has seen before.
	Resent   int64 `json:"resent"`
	Repeated int64 `json:"repeated"`
	// Unnoted is how many records counted though they would count again if their sender sent them again: what a
	// partition remembers of senders had no room for them.
	Unnoted  int64     `json:"unnoted"`
	Received time.Time `json:"received,omitzero"`
	// Watermark is that of the key of the latest record; its age is Status.Time less Watermark.
	Watermark time.Time `json:"watermark,omitzero"`
}

// StageStatus tells of one stage, over all partitions.
type StageStatus struct {
	Address  string           `json:"address"`
	Rows     int64            `json:"rows"`               // emitted
	Counters map[string]int64 `json:"counters,omitempty"` // of the stage's own, such as "late_dropped"
}

// SinkStatus tells of one sink.
type SinkStatus struct {
	Address   string `json:"address"`
	Rows      int64  `json:"rows"`                 // written, committed or not
	Waiting   uint64 `json:"waiting"`              // batches in the spool before it, if it has one
	Failures  int64  `json:"failures"`             // attempts that failed
	Failing   bool   `json:"failing,omitempty"`    // the latest attempt has failed
	LastError string `json:"last_error,omitempty"` // of the latest attempt; "" when it went well
	Reported  bool   `json:"-"`                    // the engine itself has told of LastError
	// Counters are the sink's own, such as "rejected".
	Counters map[string]int64 `json:"counters,omitempty"`
}

// rowsCounter is the name of the engine's own counter of a stage's rows.
const rowsCounter = "rows"

// rejectsPrefix begins the names of the engine's own counters of rejects.
const rejectsPrefix = "rejected:"

// publish shows the graph to onlookers. What the copy holds does not change any more.
func (e *Engine) publish() {
	shown := e.graph
	e.view.Store(&shown)
}

// Status tells what the engine is doing. It may be called at any time, from any goroutine.
func (e *Engine) Status() Status {
	v := e.view.Load()
	s := Status{Time: e.env.Clock.Now(), Began: e.began, Plan: v.plan.Digest, Config: v.plan.Config.Digest}
	if c := e.coord.shown.Load(); c != nil {
		s.Checkpoint = *c
	}
	s.Checkpoint.Failures, s.Checkpoint.LastError = e.coord.failures.Value(), textOf(&e.coord.trouble)
	counters := e.countersByAddress()
	s.Rejects = takeRejects(counters)
	for _, src := range v.sources {
		i := IngestStatus{Address: src.node.Address, Ended: src.ended.Load(), Errors: counters[src.node.Address]["errors"], LastError: textOf(&src.trouble)}
		if p, ok := src.source.(interface{ Progress() (done, total int64) }); ok {
			i.Done, i.Total = p.Progress()
		}
		if p, ok := src.source.(interface{ Gauges() map[string]int64 }); ok {
			i.Gauges = p.Gauges()
		}
		i.Counters = without(counters[i.Address], "errors")
		s.Ingests = append(s.Ingests, i)
	}
	for _, ch := range v.plan.Channels {
		s.Channels = append(s.Channels, v.channel(ch.Config.Name))
	}
	s.Stranded, s.State = v.stranded, v.state()
	for _, pl := range v.plan.Pipelines {
		for _, n := range pl.Nodes {
			if n.IsSink() {
				s.Sinks = append(s.Sinks, v.sink(n.Address, counters[n.Address]))
				continue
			}
			own := counters[n.Address]
			s.Stages = append(s.Stages, StageStatus{Address: n.Address, Rows: own[rowsCounter], Counters: without(own, rowsCounter)})
		}
	}
	return s
}

func (v *graph) channel(name string) ChannelStatus {
	c := ChannelStatus{Name: name}
	for _, f := range v.flushers {
		if f.name == name {
			c.Pending, c.LastError = f.appender.Pending(), textOf(&f.trouble)
		}
	}
	log := v.logs[name]
	if log == nil {
		return v.fedChannel(c)
	}
	if sized, ok := log.(interface{ Bytes() int64 }); ok {
		c.Bytes = sized.Bytes()
	}
	for part := range log.Partitions() {
		p := PartitionStatus{}
		p.Earliest, p.End = log.Bounds(part)
		for _, t := range v.tasks {
			if t.log == log && t.part == part {
				t.show(&p)
			}
		}
		c.Partitions = append(c.Partitions, p)
	}
	return c
}

// fedChannel tells of a channel that pipelines feed. Its offsets count rows, and its lag records that hold
// several.
func (v *graph) fedChannel(c ChannelStatus) ChannelStatus {
	c.Fed = true
	for _, s := range v.sinkOrder {
		if s.feed == nil || s.node.Feeds.Config.Name != c.Name {
			continue
		}
		if sized, ok := s.feed.log.(interface{ Bytes() int64 }); ok {
			c.Bytes += sized.Bytes()
		}
	}
	for part := range v.plan.Channel(c.Name).Config.Partitions {
		p := PartitionStatus{}
		for _, t := range v.tasks {
			if t.name == c.Name && t.part == part {
				t.show(&p)
			}
		}
		c.Partitions = append(c.Partitions, p)
	}
	return c
}

// show fills in what a task has done.
func (t *task) show(p *PartitionStatus) {
	p.Next = t.next.Load()
	if t.merge != nil {
		p.Lag = t.merge.lag()
		p.End = p.Next + p.Lag
	} else if p.End > p.Next {
		p.Lag = p.End - p.Next
	}
	p.Records, p.Rows, p.Rejects = t.counters.records.Value(), t.counters.rows.Value(), t.counters.rejects.Value()
	p.Resent, p.Repeated, p.Unnoted = t.counters.resent.Value(), t.counters.repeated.Value(), t.counters.unnoted.Value()
	p.Ignored, p.Lost = t.counters.ignored.Value(), t.counters.lost.Value()
	if at := t.record.Load(); at != 0 {
		p.Received = time.UnixMicro(at).UTC()
	}
	if at := t.mark.Load(); at != 0 {
		p.Watermark = time.UnixMicro(at).UTC()
	}
}

func (v *graph) sink(address string, counters map[string]int64) SinkStatus {
	s := SinkStatus{Address: address, Counters: without(counters, "errors")}
	if k := v.sinks[address]; k != nil {
		s.Rows, s.Failures = k.rowsOut.Value(), k.failures.Value()
		if err := k.Err(); err != nil {
			s.LastError, s.Failing = err.Error(), true
		}
	}
	for _, d := range v.delivers {
		if d.node.Address != address {
			continue
		}
		s.Rows, s.Failures = d.rowsOut.Value(), s.Failures+counters["errors"]
		if why := textOf(&d.trouble); why != "" {
			s.LastError, s.Failing, s.Reported = why, true, true
		}
		if done, end := d.done.Load(), d.spool.committed.Load(); end > done {
			s.Waiting = end - done
		}
	}
	return s
}

// textOf is what somebody else's goroutine has left there for onlookers.
func textOf(at *atomic.Pointer[string]) string {
	if text := at.Load(); text != nil {
		return *text
	}
	return ""
}

// without returns counters less one; nil when there are no others.
func without(counters map[string]int64, name string) map[string]int64 {
	var out map[string]int64
	for k, n := range counters {
		if k != name {
			if out == nil {
				out = map[string]int64{}
			}
			out[k] = n
		}
	}
	return out
}

// takeRejects moves the counters of rejects out of the others.
func takeRejects(counters map[string]map[string]int64) []RejectStatus {
	var out []RejectStatus
	for _, address := range slices.Sorted(maps.Keys(counters)) {
		for _, name := range slices.Sorted(maps.Keys(counters[address])) {
			if reason, ok := strings.CutPrefix(name, rejectsPrefix); ok {
				out = append(out, RejectStatus{address, reason, counters[address][name]})
				delete(counters[address], name)
			}
		}
	}
	return out
}

// countersByAddress copies the counters: by address, by name.
func (e *Engine) countersByAddress() map[string]map[string]int64 {
	out := map[string]map[string]int64{}
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, c := range e.counters {
		at := strings.LastIndexByte(name, ' ')
		if at < 0 {
			panic(fmt.Sprintf("BUG: the counter %q has no address", name))
		}
		if out[name[:at]] == nil {
			out[name[:at]] = map[string]int64{}
		}
		out[name[:at]][name[at+1:]] = c.Value()
	}
	return out
}

// Rows sums the rows that stages of a kind ("window", "alarm") have emitted, the engine's own left out.
func (s *Status) Rows(kind string) int64 {
	var n int64
	for i := range s.Stages {
		parts := strings.Split(s.Stages[i].Address, ".")
		if len(parts) > 2 && parts[2] == kind && !strings.Contains(s.Stages[i].Address, "~") {
			n += s.Stages[i].Rows
		}
	}
	return n
}

// Kinds lists the kinds of the stages there are, sorted.
func (s *Status) Kinds() []string {
	seen := map[string]bool{}
	var out []string
	for i := range s.Stages {
		parts := strings.Split(s.Stages[i].Address, ".")
		if len(parts) > 2 && !seen[parts[2]] {
			seen[parts[2]] = true
			out = append(out, parts[2])
		}
	}
	sort.Strings(out)
	return out
}

// Totals sums over all channels; records, and rows of them, are those that ingests brought.
func (s *Status) Totals() (p PartitionStatus) {
	for _, c := range s.Channels {
		for _, x := range c.Partitions {
			if !c.Fed {
				p.Records, p.Rows = p.Records+x.Records, p.Rows+x.Rows
			}
			p.Rejects += x.Rejects
			p.Resent, p.Repeated, p.Unnoted = p.Resent+x.Resent, p.Repeated+x.Repeated, p.Unnoted+x.Unnoted
			p.Ignored, p.Lost, p.Lag = p.Ignored+x.Ignored, p.Lost+x.Lost, p.Lag+x.Lag
		}
	}
	return p
}
