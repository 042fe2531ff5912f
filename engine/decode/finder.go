package decode

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine/flow"
)

// finder walks over a payload up to the member that it looks for. What it
// returns depends on the payload alone, so that a record that is sent again
// goes to the same partition.
type finder struct {
	scanner
	path    string
	first   string // a payload begins so if the key is its first member, and text
	name    []byte // of the member that is being read
	scratch []byte
}

func newKeyFinder(path string) *finder {
	f := &finder{path: path}
	f.max = maxDepthLimit
	quoted, err := json.Marshal(path)
	if err != nil {
		panic("BUG: a name cannot be written as JSON: " + err.Error())
	}
	f.first = `{` + string(quoted) + `:"`
	return f
}

func (f *finder) Hash(payload []byte) (hash uint64, ok bool) {
	if n := len(f.first); len(payload) > n && string(payload[:n]) == f.first {
		if end := plainText(payload, n); end > 0 {
			return flow.Hash(payload[n:end]), true
		}
	}
	f.s, f.fault, f.name = payload, "", f.name[:0]
	p := f.space(0)
	if p >= len(payload) || payload[p] != '{' {
		return 0, false
	}
	p, found := f.find(p, 1)
	if p >= 0 && found {
		hash, ok = f.hash(p)
	}
	f.s = nil
	return hash, ok
}

// plainText returns where the text of plain ASCII that begins at p ends; -1
// when it is not plain, or does not end.
func plainText(b []byte, p int) int {
	for ; p+8 <= len(b); p += 8 {
		if m := special(binary.LittleEndian.Uint64(b[p:])); m != 0 {
			p += firstByte(m)
			break
		}
	}
	for ; p < len(b); p++ {
		if c := b[p]; c == '"' {
			return p
		} else if c < 0x20 || c == '\\' || c >= utf8.RuneSelf {
			return -1
		}
	}
	return -1
}

// find looks for the path in the object at p, the depth-th container. It
// returns where the value is, or else where the object ends.
func (f *finder) find(p, depth int) (at int, found bool) {
	if !f.enter(p, depth) {
		return -1, false
	}
	base := len(f.name)
	for first := true; ; first = false {
		p = f.space(p + 1)
		if first && p < len(f.s) && f.s[p] == '}' {
			return p + 1, false
		}
		start := p
		if p = f.key(p); p < 0 {
			return -1, false
		}
		f.appendName(start)
		switch {
		case string(f.name) == f.path:
			return p, true
		case p < len(f.s) && f.s[p] == '{' && f.leadsOn():
			f.name = append(f.name, '.')
			p, found = f.find(p, depth+1)
		default:
			p = f.skip(p, depth)
		}
		f.name = f.name[:base]
		if p < 0 || found {
			return p, found
		}
		if p = f.more(p, '}'); p < 0 || f.s[p] == '}' {
			return f.past(p), false
		}
	}
}

// leadsOn says whether the object f.name is on the way to the path.
func (f *finder) leadsOn() bool {
	rest, ok := strings.CutPrefix(f.path, text(f.name))
	return ok && strings.HasPrefix(rest, ".")
}

// appendName appends the name in quotes at p, which key has accepted. Of a
// name that is too long to be on the path it appends too much to be equal.
func (f *finder) appendName(p int) {
	end, plain := f.str(p)
	raw := f.s[p+1 : end-1]
	if len(raw) > 6*len(f.path) {
		raw, plain = raw[:6*len(f.path)], true
	}
	if !plain {
		f.scratch = unescape(f.scratch[:0], raw)
		raw = f.scratch
	}
	f.name = append(f.name, raw...)
}

// hash returns the hash of the value at p.
func (f *finder) hash(p int) (uint64, bool) {
	end := f.skip(p, maxDepthLimit-1)
	if end < 0 {
		return 0, false
	}
	tok := f.s[p:end]
	switch tok[0] {
	case '"':
		raw := tok[1 : len(tok)-1]
		f.scratch = unescape(f.scratch[:0], raw)
		return flow.Hash(f.scratch), true
	case 't', 'f':
		return flow.Hash(tok[:1]), true
	case 'n', '{', '[':
		return 0, false
	}
	v, ok := parseFloat(tok)
	if !ok {
		return 0, false
	}
	v += 0 // of the two zeros, which are equal, the positive one
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
	return flow.Hash(b[:]), true
}
