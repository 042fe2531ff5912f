package detect

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Kinds of detectors, sorted.
func Kinds() []string {
	return []string{"changepoint", "discord", "ensemble", "ewma", "half_space_trees", "rate", "rcf", "resonance", "robust_zscore", "seasonal", "spread", "stuck"}
}

// Config says what a detector is.
type Config struct {
	Kind      string
	Signals   int
	Forest    ForestConfig // for rcf and ensemble; what is zero has the kind's default
	WarmUp    int          // rows before which there is no score; 0: 100
	Threshold float64      // of the score; 0: the kind's default
	PerWeek   float64      // wanted alerts a week, instead of a threshold; 0: none
	Quiet     int          // rows in which an alert is not repeated unless it grows; 0: 200
	MaxRate   float64      // of change a second that is physically possible; 0: unknown
}

// Members of a detector, for each signal. The order is part of a model's layout.
const (
	byLevel = iota // distance from the slow level
	byEWMA         // from what was lately
	byRate         // from the row before
	byShift        // CUSUM
	bySpread
	byStuck
	bySeason
	byDiscord
	byHalfSpace
	byResonance
	byRelation // from what the other signals say
	byTurn     // mean of the last rows from that of those before
	bySwing    // range of the last rows
	byForest   // all signals together
	members
)

// weights of the members in an ensemble. Each question has one voice: is the value odd, the last step, the level of
// late, the restlessness, the silence, the time of day, the shape, the relation to other signals? Two members that answer
// the same one share it. The forest, which answers several, has two, and resonance as much as all others together.
func weights() [members]float64 {
	return [members]float64{byLevel: 0.5, byHalfSpace: 0.5, byEWMA: 0.5, byRate: 0.5, byShift: 0.5, byTurn: 0.5, bySpread: 0.5, bySwing: 0.5,
		byStuck: 1, bySeason: 1, byDiscord: 1, byRelation: 1, byForest: 2, byResonance: 9}
}

const (
	maxSignals    = 256
	memory        = 8192 // rows after which a calibrator counts what it knows half
	gapRows       = 20   // usual intervals that make a gap
	week          = 7 * day
	defaultScore  = 1.4 // an ensemble's threshold
	defaultQuiet  = 200
	ensembleFrom  = 0.5 // as quietFrom, of an ensemble
	ensembleLoud  = 1.5 // digits from which a score of an ensemble is an event of its own, and so is what grows out of it
	quietFrom     = 1   // digits from which a score begins a quiet time for scores as low
	quietStep     = 0.5 // digits between the levels at which it does
	defaultWarmUp = 100
	defaultDigit  = 3   // any other's, in digits of surprise
	shapeDigit    = 1.5 // but of resonance: a shape lasts 48 rows, so that as rare an event has fewer digits
	grows         = 0.3 // digits by which an alert grows to be repeated: twice as rare
)

// Detector works on models of one shape. It keeps nothing of one between calls.
type Detector struct {
	cfg    Config
	only   int // the member that it is, or members for an ensemble
	weight [members]float64
	forest *Forest
	rel    *relation
	asked  []asked // members of a signal
	cals   int     // calibrators of a signal
	tracks int     // offset of the first track
	stride int
	calm   bool // Quiet was given
	offs   struct{ season, disc, half, res, blocks, cals, rel, forest int }
	size   int
	x, z   []float64
	units  []float64
	views  []view
	reads  []reading
	bands  []reading
	share  []float64
	seen   []bool
	top    [members]float64 // digits of each member in the last row
	silent Silent
}

// asked is a member that speaks of each signal, and its calibrators among those of the signal.
type asked struct{ member, first, end int }

// Silent names what of a Verdict nobody wants to know. A forest takes longer over it than over its score. Models and
// scores are the same.
type Silent struct {
	Share bool
	Bands bool // Expected, Lower and Upper
}

// Silence says what of a forest's verdicts is not wanted from now on.
func (d *Detector) Silence(s Silent) { d.silent = s }

// Verdict is what a detector says of a row. The slices, a value a signal, are
// the detector's until its next call; NaN is no value.
type Verdict struct {
	Ready                  bool    // the model has warmed up and the row had values
	Score                  float64 // higher is odder: digits of surprise; of rcf, the forest's own score
	Raw                    float64 // the score before it is cut in the quiet time after another; 0 until Ready
	Grade                  float64 // 0: no alert; else 0.5 to 1
	Expected, Lower, Upper []float64
	Share                  []float64 // of each signal in the score; their sum is 1, or 0 when nothing is odd
	Age                    int64     // rows that the model has learnt from
}

// New lays a detector out; an error is for the author of its configuration.
func New(c Config) (*Detector, error) {
	only := slices.Index([]string{"robust_zscore", "ewma", "rate", "changepoint", "spread", "stuck", "seasonal", "discord", "half_space_trees", "resonance", "", "", "", "rcf", "ensemble"}, c.Kind)
	switch {
	case c.Kind == "" || only < 0:
		return nil, fmt.Errorf("there is no detector %q", c.Kind)
	case c.Signals < 1 || c.Signals > maxSignals:
		return nil, fmt.Errorf("a detector has 1 to %d signals, not %d", maxSignals, c.Signals)
	case c.WarmUp < 0 || c.Quiet < 0:
		return nil, fmt.Errorf("numbers of rows cannot be negative")
	}
	calm := c.Quiet > 0
	if !calm {
		c.Quiet = defaultQuiet
	}
	if c.WarmUp == 0 {
		c.WarmUp = defaultWarmUp
	}
	d := &Detector{cfg: c, only: only, calm: calm}
	if err := d.plan(); err != nil {
		return nil, err
	}
	n := c.Signals
	d.x, d.z, d.units, d.share = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	d.views, d.bands, d.seen = make([]view, n), make([]reading, n), make([]bool, n)
	d.reads = make([]reading, n*members)
	return d, nil
}

// has says whether the detector has a member.
func (d *Detector) has(m int) bool { return d.weight[m] > 0 }

func (d *Detector) plan() error {
	if d.only == members {
		d.weight = weights()
		if d.cfg.Signals == 1 {
			d.weight[byRelation] = 0
		}
	} else {
		d.weight[d.only] = 1
	}
	var at carver
	at.take(1, int(unsafe.Sizeof(jury{})))
	d.tracks = at.at
	var in carver
	in.take(1, int(unsafe.Sizeof(track{})))
	d.offs.season, d.offs.disc, d.offs.half, d.offs.res, d.offs.blocks = -1, -1, -1, -1, -1
	if d.has(bySeason) {
		d.offs.season = in.take(1, int(unsafe.Sizeof(seasonal{})))
	}
	if d.has(byDiscord) {
		d.offs.disc = in.take(1, int(unsafe.Sizeof(discord{})))
	}
	if d.has(byHalfSpace) {
		d.offs.half = in.take(1, int(unsafe.Sizeof(halfSpace{})))
	}
	if d.has(byResonance) {
		d.offs.res = in.take(1, int(unsafe.Sizeof(resonance{})))
	}
	if d.has(byTurn) || d.has(bySwing) {
		d.offs.blocks = in.take(1, int(unsafe.Sizeof(blocks{})))
	}
	for m := range byForest {
		if d.has(m) {
			d.asked = append(d.asked, asked{member: m, first: d.cals, end: d.cals + d.sides(m)})
			d.cals += d.sides(m)
		}
	}
	d.offs.cals = in.take(d.cals, int(unsafe.Sizeof(Calibrator{})))
	d.stride = in.at
	at.take(d.cfg.Signals, d.stride)
	if d.has(byRelation) {
		d.rel = newRelation(d.cfg.Signals)
		d.offs.rel = at.take(d.rel.size(), 1)
	}
	if d.has(byForest) {
		c := d.cfg.forest()
		if err := c.Check(); err != nil {
			return err
		}
		d.forest = NewForest(c)
		d.offs.forest = at.take(d.forest.Size(), 1)
	}
	d.size = at.at
	return nil
}

// forest completes the forest's configuration. Of rcf, the defaults are those
// of the RANDOM_CUT_FOREST function that many know from SQL; of an ensemble,
// they see the last eight values of one signal.
func (c Config) forest() ForestConfig {
	f := ForestConfig{Signals: c.Signals, Shingle: 1, Trees: 100, Samples: 256, Decay: 1e-5}
	if c.Kind != "rcf" {
		f.Shingle, f.Trees, f.Decay = max(1, 8/c.Signals), 30, 1.0/2560
	}
	g := c.Forest
	if g.Shingle > 0 {
		f.Shingle = g.Shingle
	}
	if g.Trees > 0 {
		f.Trees = g.Trees
	}
	if g.Samples > 0 {
		f.Samples = g.Samples
	}
	if g.Decay > 0 {
		f.Decay = g.Decay
	}
	f.Samplers = f.Trees
	if f.Trees%2 == 0 {
		f.Samplers = f.Trees / 2
	}
	return f
}

// Size is how many bytes a model has.
func (d *Detector) Size() int { return d.size }

// Init makes a new model of zeroed memory. What it draws follows from the seed.
func (d *Detector) Init(mem []byte, seed uint64) {
	d.jury(mem).init()
	for s := range d.cfg.Signals {
		if p := d.disc(mem, s); p != nil {
			p.random = seed + uint64(s)
		}
		if p := d.half(mem, s); p != nil {
			p.begin(seed + uint64(s))
		}
		cals := d.calibrators(mem, s)
		for i := range cals {
			cals[i].Init(memory)
		}
	}
	if d.forest != nil {
		d.forest.Init(d.forestMem(mem), seed)
	}
}

func (d *Detector) forestMem(mem []byte) []byte {
	return mem[d.offs.forest : d.offs.forest+d.forest.Size()]
}

// at views a part of a model as a struct without pointers.
func at[T any](mem []byte, off int) *T {
	var t T
	_ = mem[off+int(unsafe.Sizeof(t))-1]
	return (*T)(unsafe.Pointer(&mem[off]))
}

func (d *Detector) jury(mem []byte) *jury { return at[jury](mem, 0) }

func (d *Detector) track(mem []byte, s int) *track { return at[track](mem, d.tracks+s*d.stride) }

func (d *Detector) season(mem []byte, s int) *seasonal {
	return part[seasonal](d, mem, s, d.offs.season)
}
func (d *Detector) disc(mem []byte, s int) *discord   { return part[discord](d, mem, s, d.offs.disc) }
func (d *Detector) half(mem []byte, s int) *halfSpace { return part[halfSpace](d, mem, s, d.offs.half) }
func (d *Detector) res(mem []byte, s int) *resonance  { return part[resonance](d, mem, s, d.offs.res) }
func (d *Detector) blocks(mem []byte, s int) *blocks  { return part[blocks](d, mem, s, d.offs.blocks) }

// part is what stands at off of a signal's track; nil where the detector has no such member.
func part[T any](d *Detector, mem []byte, s, off int) *T {
	if off < 0 {
		return nil
	}
	return at[T](mem, d.tracks+s*d.stride+off)
}

// calibrators of a signal stand at the end of its track, in the order of the members.
func (d *Detector) calibrators(mem []byte, s int) []Calibrator {
	return words[Calibrator](mem, d.tracks+s*d.stride+d.offs.cals, d.cals)
}

// nan fills with no value.
func nan(x []float64) {
	for i := range x {
		x[i] = math.NaN()
	}
}

// Age is how many rows a model has learnt from.
func (d *Detector) Age(mem []byte) int64 { return d.jury(mem).rows }
