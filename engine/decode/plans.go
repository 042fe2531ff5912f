package decode

// A plan is the layout of a record seen before: the bytes between its values,
// and what to do with each value.
//
//	record  {"device":"t1","temp":-17.5,"gps":{"lat":51.9},"open":true}
//	step 0  {"device":"                text
//	step 1            ,"temp":         number
//	step 2                  ,"gps":{"lat":   number
//	step 3                            },"open":   bool
//	end                                          }
//
// A record that has the same bytes between values of the same kinds is the
// same object with the same names in it, so that nothing else needs checking.
// Anything else misses the plan, and is no worse for it: the general decoder
// takes such a record from the start.

// maxPlans is how many layouts are remembered. Devices of one kind send few.
const maxPlans = 4

// Limits of a layout that is worth remembering.
const (
	maxSteps   = 512
	maxLiteral = 256
)

// Learning a plan costs as much as learnCost records save; credit keeps a
// channel where every record looks different from paying that for nothing.
const (
	learnCost = 8
	maxCredit = 64
)

type stepKind uint8

const (
	stepToken stepKind = iota // a float, located now and converted later (tokens.go)
	stepFloat
	stepInt
	stepNumberTime
	stepText
	stepTextTime
	stepBool
	stepList
	stepIgnore
	stepEnd
)

// step is the bytes before a value, and the value.
type step struct {
	lit, mask [2]uint64 // the first 16 bytes of the literal, and which of them count
	n         int       // length of the literal
	more      string    // the literal from byte 16 on
	delim     uint64    // eight times the byte that followed the value
	kind      stepKind
	col       *column // nil with stepIgnore and stepEnd
	depth     int     // containers open around the value

	// What is known of values here makes them faster and changes no answer.
	width  int  // bytes of the last value
	wrong  int  // values since tune that were of another length than the one before
	steady bool // few were: see after
}

type plan struct {
	steps []step
	strip stripPlan
	null  []*column // columns that the layout has no value for
}

// plans are the layouts of one decoder, the latest hit first in order.
type plans struct {
	list   [maxPlans]plan
	common [maxPlans][maxPlans]int // how many first steps two plans share
	order  [maxPlans]int
	n      int
	credit int
	tokens bool // short numbers are left as tokens
}

// tune learns from the last rows rows which values mostly keep their length.
func (p *plans) tune(rows int) {
	for i := range p.n {
		for k := range p.list[i].steps {
			s := &p.list[i].steps[k]
			s.steady = s.wrong*4 < rows
			s.wrong = 0
		}
	}
}

// drop forgets all layouts: the columns have changed.
func (p *plans) drop() { *p = plans{credit: maxCredit, tokens: p.tokens} }

// learn makes a plan of the record that d has just decoded.
func (p *plans) learn(d *jsonDecoder) {
	p.credit -= learnCost
	if p.credit < 0 || len(d.trace) > maxSteps {
		p.credit = max(p.credit+learnCost, 0)
		return
	}
	made, ok := makePlan(d)
	if !ok {
		return
	}
	for i := range p.n {
		if k := shared(&p.list[i], &made); k == len(made.steps) && k == len(p.list[i].steps) {
			return
		}
	}
	if p.n < maxPlans {
		p.order[p.n] = p.n
		p.n++
	}
	id := p.order[p.n-1]
	p.list[id] = made
	for i := range p.n {
		k := shared(&p.list[i], &made)
		p.common[i][id], p.common[id][i] = k, k
	}
	p.first(p.n - 1)
}

// first moves the plan at place i of the order to the front.
func (p *plans) first(i int) {
	id := p.order[i]
	copy(p.order[1:i+1], p.order[:i])
	p.order[0] = id
}

// shared returns how many first steps two plans share.
func shared(a, b *plan) (k int) {
	for k < len(a.steps) && k < len(b.steps) {
		x, y := &a.steps[k], &b.steps[k]
		if x.lit != y.lit || x.n != y.n || x.more != y.more || x.kind != y.kind || x.col != y.col {
			break
		}
		k++
	}
	return k
}

func makePlan(d *jsonDecoder) (p plan, ok bool) {
	pos := 0
	p.steps = make([]step, 0, len(d.trace)+1)
	for _, t := range d.trace {
		kind := stepOf(t.col, d.s[t.start])
		from := t.start
		if kind == stepText || kind == stepTextTime {
			from++ // the opening quote belongs to the literal
		}
		if from-pos > maxLiteral {
			return plan{}, false
		}
		s := newStep(d.s[pos:from], kind)
		s.col, s.depth, s.delim = t.col, t.depth, uint64(d.s[t.end])*ones
		p.steps = append(p.steps, s)
		pos = t.end
	}
	if len(d.s)-pos > maxLiteral {
		return plan{}, false
	}
	p.steps = append(p.steps, newStep(d.s[pos:], stepEnd))
	p.strip = stripPlanOf(d.s, d.trace)
	d.last++
	for _, t := range d.trace {
		if t.col != nil {
			t.col.stamp = d.last
		}
	}
	for _, c := range d.cols {
		if c.stamp != d.last && !c.skip {
			p.null = append(p.null, c)
		}
	}
	return p, true
}

// stepOf returns how a value of c that begins with the byte b is read.
func stepOf(c *column, b byte) stepKind {
	if c == nil {
		return stepIgnore
	}
	switch c.kind {
	case kindFloat:
		if len(c.spans) > 0 {
			return stepToken
		}
		return stepFloat
	case kindInt:
		return stepInt
	case kindTime:
		if b == '"' {
			return stepTextTime
		}
		return stepNumberTime
	case kindText:
		return stepText
	case kindBool:
		return stepBool
	}
	return stepList
}

func newStep(literal []byte, kind stepKind) step {
	s := step{n: len(literal), kind: kind}
	for i, b := range literal[:min(len(literal), 16)] {
		s.lit[i/8] |= uint64(b) << (i % 8 * 8)
		s.mask[i/8] |= 0xff << (i % 8 * 8)
	}
	if len(literal) > 16 {
		s.more = string(literal[16:])
	}
	return s
}
