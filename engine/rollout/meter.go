package rollout

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Meters are the meters of all trials, and where books were met. Safe for concurrent use.
type Meters struct {
	mu      sync.Mutex
	byTrial map[uint64]*Meter
	met     map[Place]Met
	news    []News
	overdue []Quarantine
}

// News is a book, or a registry, that a partition has met.
type News struct {
	Place
	Met
}

// maxNews is how many are kept until somebody asks.
const maxNews = 100_000

// Place is a partition of a channel.
type Place struct {
	Channel   string
	Partition int
}

// Met is the newest book that a partition has met.
type Met struct {
	Seq    uint64
	Offset uint64
	// Devices is the version of the registry that it knows.
	Devices uint64
}

// NewMeters makes meters without trials.
func NewMeters() *Meters { return &Meters{byTrial: map[uint64]*Meter{}, met: map[Place]Met{}} }

// Of returns the meter of a trial, shared by all partitions and stages.
func (m *Meters) Of(trial uint64) *Meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byTrial[trial] == nil {
		m.byTrial[trial] = &Meter{columns: map[string]int64{}}
	}
	return m.byTrial[trial]
}

// Keep forgets the meters of all trials but these.
func (m *Meters) Keep(trials map[uint64]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range m.byTrial {
		if !trials[n] {
			delete(m.byTrial, n)
		}
	}
}

// Meet notes what a partition has met.
func (m *Meters) Meet(p Place, met Met) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.met[p] = met
	if len(m.news) < maxNews {
		m.news = append(m.news, News{p, met})
	}
}

// TakeNews returns what was met since the last call, in order.
func (m *Meters) TakeNews() []News {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.news
	m.news = nil
	return out
}

// Met returns what a partition has met; zero: nothing yet.
func (m *Meters) Met(p Place) Met {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.met[p]
}

// Overdue notes a module whose call took longer than it may.
func (m *Meters) Overdue(q Quarantine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.overdue) < Places && !slices.Contains(m.overdue, q) {
		m.overdue = append(m.overdue, q)
	}
}

// TakeOverdue returns what Overdue noted, and forgets it.
func (m *Meters) TakeOverdue() []Quarantine {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.overdue
	m.overdue = nil
	return out
}

// Side counts what one module did. Safe for concurrent use.
type Side struct {
	rows, failed, refused, fuel atomic.Int64
	times                       [256]atomic.Int64 // rows, by time a row
}

// Add counts a batch that took so long.
func (s *Side) Add(rows, failed, refused int, fuel int64, took time.Duration) {
	if rows == 0 {
		return
	}
	s.rows.Add(int64(rows))
	s.failed.Add(int64(failed))
	s.refused.Add(int64(refused))
	s.fuel.Add(fuel)
	s.times[bucketOf(max(0, took.Nanoseconds()/int64(rows)))].Add(int64(rows))
}

// bucketOf puts a time into one of four buckets for each power of two, ns.
func bucketOf(ns int64) int {
	if ns < 4 {
		return int(ns)
	}
	top := bits.Len64(uint64(ns)) - 1
	return (top-1)*4 + int(ns>>(top-2))&3
}

// bucketEnd is the greatest time of a bucket, ns.
func bucketEnd(b int) int64 {
	if b < 4 {
		return int64(b)
	}
	top := b/4 + 1
	return int64(5+b%4)<<(top-2) - 1
}

// Counts are what a Side has counted.
type Counts struct {
	Rows    int64 `json:"rows"`
	Failed  int64 `json:"failed"`
	Refused int64 `json:"refused"`
	// FuelPerRow is the mean of instructions a row.
	FuelPerRow int64 `json:"fuel_per_row"`
	// P99 is the time a row that 99 % of the rows keep below, ns; up to a fifth too much.
	P99 int64 `json:"p99_ns"`
}

// ErrorRate is the share of rows that failed or were refused.
func (c Counts) ErrorRate() float64 {
	if c.Rows == 0 {
		return 0
	}
	return float64(c.Failed+c.Refused) / float64(c.Rows)
}

// Counts reads the counters.
func (s *Side) Counts() Counts {
	c := Counts{Rows: s.rows.Load(), Failed: s.failed.Load(), Refused: s.refused.Load()}
	if c.Rows == 0 {
		return c
	}
	c.FuelPerRow = s.fuel.Load() / c.Rows
	var seen, total int64
	for i := range s.times {
		total += s.times[i].Load()
	}
	for i := range s.times {
		if seen += s.times[i].Load(); seen*100 >= total*99 {
			c.P99 = bucketEnd(i)
			break
		}
	}
	return c
}

// Limits of what is kept of differences.
const (
	maxSamples     = 200
	maxDiffColumns = 256
	maxSampleText  = 512
)

// Difference is a value that the module on trial gave otherwise.
type Difference struct {
	Channel   string `json:"channel"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
	Index     int32  `json:"index"`
	Device    string `json:"device,omitempty"`
	Column    string `json:"column"` // "" where a row is there on one side alone
	Stable    string `json:"stable"` // as JSON, or why there is no row
	Canary    string `json:"canary"`
}

// Meter measures a trial since the process started. Safe for concurrent use.
type Meter struct {
	Stable, Canary Side
	compared       atomic.Int64
	differing      atomic.Int64
	first, last    atomic.Int64 // event times seen, us

	mu      sync.Mutex
	columns map[string]int64
	samples []Difference
}

// Saw notes event times of rows on trial, us.
func (m *Meter) Saw(low, high int64) {
	for {
		was := m.first.Load()
		if was != 0 && was <= low || m.first.CompareAndSwap(was, low) {
			break
		}
	}
	for {
		was := m.last.Load()
		if was >= high || m.last.CompareAndSwap(was, high) {
			return
		}
	}
}

// Compare counts rows that both modules had, and those of them that differ.
func (m *Meter) Compare(rows, differing int) {
	m.compared.Add(int64(rows))
	m.differing.Add(int64(differing))
}

// Differ keeps a difference, as long as there is room, and counts it by its column.
func (m *Meter) Differ(d Difference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.columns[d.Column]; known || len(m.columns) < maxDiffColumns {
		m.columns[d.Column]++
	}
	if len(m.samples) >= maxSamples {
		return
	}
	d.Stable, d.Canary = clip(d.Stable), clip(d.Canary)
	m.samples = append(m.samples, d)
}

// Full tells that no more differences are kept.
func (m *Meter) Full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.samples) >= maxSamples
}

func clip(s string) string {
	if len(s) > maxSampleText {
		return s[:maxSampleText]
	}
	return s
}

// Reading is what a meter shows.
type Reading struct {
	Stable Counts `json:"stable"`
	Canary Counts `json:"canary"`
	// Compared rows had both; Differing of them had a difference.
	Compared  int64            `json:"compared,omitempty"`
	Differing int64            `json:"differing,omitempty"`
	Columns   map[string]int64 `json:"columns,omitempty"` // differences by column
	EventTime time.Duration    `json:"event_time"`        // that has passed in the rows on trial, ns
	Samples   []Difference     `json:"samples,omitempty"`
}

// Read reads the meter; samples too, where they are wanted.
func (m *Meter) Read(samples bool) Reading {
	r := Reading{Stable: m.Stable.Counts(), Canary: m.Canary.Counts(), Compared: m.compared.Load(), Differing: m.differing.Load(), Columns: map[string]int64{}}
	r.EventTime = time.Duration(m.last.Load()-m.first.Load()) * time.Microsecond
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.columns {
		r.Columns[name] = n
	}
	if samples {
		r.Samples = slices.Clone(m.samples)
	}
	return r
}

// Guard says what a trial must keep to, and for how long. Zero values do not count.
type Guard struct {
	ErrorRate float64       `json:"error_rate,omitempty"` // share of rows that fail or are refused; below 0: none is allowed
	P99       time.Duration `json:"p99,omitempty"`        // time a row, ns
	Fuel      int64         `json:"fuel,omitempty"`       // instructions a row, on the average
	Differ    float64       `json:"differ,omitempty"`     // share of rows that differ in shadow; below 0: none may
	// MinRows is how many rows count as enough to judge by; default 100.
	MinRows int64         `json:"min_rows,omitempty"`
	Bake    time.Duration `json:"bake,omitempty"` // 0: a person promotes
	ByEvent bool          `json:"by_event,omitempty"`
}

// Check says what no trial can be held to. shadow tells whether the trial compares rows.
func (g *Guard) Check(shadow bool) error {
	for _, share := range []struct {
		of   string
		rate float64
	}{{"fail", g.ErrorRate}, {"differ", g.Differ}} {
		if !(share.rate <= 1) {
			return fmt.Errorf("the share of rows that may %s goes from 0 to 1; this is %v", share.of, share.rate)
		}
	}
	switch {
	case g.Differ != 0 && !shadow:
		return errors.New("rows are compared in shadow only, so a guardrail for rows that differ needs a trial in shadow")
	case g.P99 < 0 || g.Fuel < 0 || g.MinRows < 0 || g.Bake < 0:
		return errors.New("times, instructions and rows of a guardrail are not negative")
	}
	return nil
}

func (g *Guard) enough() int64 { return max(g.MinRows, 1) }

// Broken says which guardrail a trial broke; "" when none.
func (g *Guard) Broken(r *Reading) string {
	c := &r.Canary
	if c.Rows >= g.enough() {
		switch rate := c.ErrorRate(); {
		case g.ErrorRate != 0 && rate > max(0, g.ErrorRate):
			return fmt.Sprintf("%d of %d rows failed or were refused (%.3f %%); %.3f %% are allowed", c.Failed+c.Refused, c.Rows, 100*rate, 100*max(0, g.ErrorRate))
		case g.P99 > 0 && c.P99 > g.P99.Nanoseconds():
			return fmt.Sprintf("the 99th percentile of the time a row is %v; %v is allowed", time.Duration(c.P99), g.P99)
		case g.Fuel > 0 && c.FuelPerRow > g.Fuel:
			return fmt.Sprintf("a row costs %d instructions on the average; %d are allowed", c.FuelPerRow, g.Fuel)
		}
	}
	if share := float64(r.Differing) / float64(max(r.Compared, 1)); g.Differ != 0 && r.Compared >= g.enough() && share > max(0, g.Differ) {
		return fmt.Sprintf("%d of %d rows differ (%.3f %%); %.3f %% are allowed", r.Differing, r.Compared, 100*share, 100*max(0, g.Differ))
	}
	return ""
}

// Baked tells whether a trial that began so long ago has run long enough, over enough rows.
func (g *Guard) Baked(r *Reading, since time.Duration) bool {
	if g.Bake <= 0 || r.Canary.Rows < g.enough() {
		return false
	}
	if g.ByEvent {
		since = r.EventTime
	}
	return since >= g.Bake
}
