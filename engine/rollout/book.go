// A book in a control record, and in the file of the engine:
//
//	+------+-----------------------------------------------+
//	| "R1" | JSON of Book, members in the order of the type |
//	+------+-----------------------------------------------+
package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/flow"
)

// Limits of a book; a control record holds 1 MiB.
const (
	MaxRollouts = 256
	MaxBases    = 256
	maxBookText = 1 << 10 // bytes of a name, 8 times that of a selector
	// Places is how many trials may run in one plugin's stages at once: each has tables of its own.
	Places = 4
	// Whole is a share of everything, in basis points.
	Whole = 10_000
)

const magic = "R1"

// Book is all that is assigned from one point of the journal on.
type Book struct {
	Seq      uint64    `json:"seq"` // rises with every book
	Bases    []Base    `json:"bases,omitempty"`
	Rollouts []Rollout `json:"rollouts,omitempty"` // in order of name: of two that choose a device the first counts
	// Quarantined are modules whose rows are rejected.
	Quarantined []Quarantine `json:"quarantined,omitempty"`
}

// Base is the module of a plugin block: what runs where no rollout says otherwise.
type Base struct {
	Plugin string `json:"plugin"`
	Digest string `json:"digest"`
}

// Quarantine is a module that runs no more, with the reason.
type Quarantine struct {
	Digest string `json:"digest"`
	Cause  string `json:"cause"`
}

// Rollout says what the devices of a fleet get.
type Rollout struct {
	Name   string `json:"name"`
	Plugin string `json:"plugin"`
	Fleet  string `json:"fleet,omitempty"`
	Where  string `json:"where,omitempty"`  // the fleet's selector; "": all devices
	Stable string `json:"stable,omitempty"` // digest; "": the plugin's base
	Trial  *Trial `json:"trial,omitempty"`  // nil: there is none now
	// Promoted is the number of the last trial whose module became Stable, so that stages keep its state.
	Promoted uint64 `json:"promoted,omitempty"`
}

// Trial is a module on trial.
type Trial struct {
	N      uint64 `json:"n"`     // numbers trials, from 1
	Place  int    `json:"place"` // whose tables it has, 0 to Places-1, within the plugin
	Canary string `json:"canary"`
	// Shadow runs it beside the stable module, compares, and discards what it gives.
	Shadow bool `json:"shadow,omitempty"`
	Share  int  `json:"share"` // of the fleet's devices, basis points
}

// Encode writes a control record.
func (b *Book) Encode() []byte {
	text, err := json.Marshal(b)
	if err != nil {
		panic("BUG: a book is no JSON: " + err.Error())
	}
	return append([]byte(magic), text...)
}

// IsBook tells whether a control record's body is a book.
func IsBook(body []byte) bool { return bytes.HasPrefix(body, []byte(magic)) }

// Parse reads a control record and checks all that others rely on.
func Parse(body []byte) (*Book, error) {
	if !IsBook(body) {
		return nil, errors.New("rollout: this is no book of assignments")
	}
	in := json.NewDecoder(bytes.NewReader(body[len(magic):]))
	in.DisallowUnknownFields()
	b := &Book{}
	if err := in.Decode(b); err != nil {
		return nil, fmt.Errorf("rollout: the book cannot be read: %w", err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, errors.New("rollout: something stands behind the book")
	}
	return b, b.check()
}

func (b *Book) check() error {
	if len(b.Rollouts) > MaxRollouts || len(b.Bases) > MaxBases || len(b.Quarantined) > MaxRollouts {
		return fmt.Errorf("rollout: a book has at most %d rollouts, %d plugins and %d quarantined modules", MaxRollouts, MaxBases, MaxRollouts)
	}
	for i := range b.Rollouts {
		r := &b.Rollouts[i]
		if err := r.check(); err != nil {
			return err
		}
		if i > 0 && b.Rollouts[i-1].Name >= r.Name {
			return fmt.Errorf("rollout: %q stands behind %q", r.Name, b.Rollouts[i-1].Name)
		}
	}
	for i, x := range b.Bases {
		if x.Plugin == "" || len(x.Plugin) > maxBookText || !IsDigest(x.Digest) || i > 0 && b.Bases[i-1].Plugin >= x.Plugin {
			return fmt.Errorf("rollout: plugin %d of the book is not as it should be", i)
		}
	}
	for i, q := range b.Quarantined {
		if !IsDigest(q.Digest) || len(q.Cause) > maxBookText {
			return fmt.Errorf("rollout: quarantine %d of the book is not as it should be", i)
		}
	}
	return nil
}

func (r *Rollout) check() error {
	switch t := r.Trial; {
	case r.Name == "" || len(r.Name) > maxBookText || r.Plugin == "" || len(r.Plugin) > maxBookText || len(r.Fleet) > maxBookText || len(r.Where) > 8*maxBookText:
		return fmt.Errorf("rollout: %.64q: a name is missing or too long", r.Name)
	case r.Stable != "" && !IsDigest(r.Stable):
		return fmt.Errorf("rollout: %.64q: stable is no digest", r.Name)
	case t != nil && (!IsDigest(t.Canary) || t.Place < 0 || t.Place >= Places || t.Share < 0 || t.Share > Whole || t.N == 0):
		return fmt.Errorf("rollout: %.64q: the trial is not as it should be", r.Name)
	}
	return nil
}

// IsDigest tells whether a text is a digest of a module.
func IsDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// Base is the base of a plugin; "" when the book does not know it.
func (b *Book) Base(plugin string) string {
	for _, x := range b.Bases {
		if x.Plugin == plugin {
			return x.Digest
		}
	}
	return ""
}

// Cause says why a module is quarantined; "" when it is not.
func (b *Book) Cause(digest string) string {
	for _, q := range b.Quarantined {
		if q.Digest == digest {
			return q.Cause
		}
	}
	return ""
}

// Rollout finds a rollout; nil when there is none of that name.
func (b *Book) Rollout(name string) *Rollout {
	for i := range b.Rollouts {
		if b.Rollouts[i].Name == name {
			return &b.Rollouts[i]
		}
	}
	return nil
}

// Of lists the rollouts of a plugin, in order.
func (b *Book) Of(plugin string) []*Rollout {
	var out []*Rollout
	for i := range b.Rollouts {
		if b.Rollouts[i].Plugin == plugin {
			out = append(out, &b.Rollouts[i])
		}
	}
	return out
}

// Clone returns a copy that shares nothing that changes.
func (b *Book) Clone() *Book {
	c := &Book{Seq: b.Seq, Bases: slices.Clone(b.Bases), Rollouts: slices.Clone(b.Rollouts), Quarantined: slices.Clone(b.Quarantined)}
	for i := range c.Rollouts {
		if t := c.Rollouts[i].Trial; t != nil {
			own := *t
			c.Rollouts[i].Trial = &own
		}
	}
	return c
}

// Put adds or replaces a rollout.
func (b *Book) Put(r Rollout) {
	at, found := slices.BinarySearchFunc(b.Rollouts, r.Name, func(x Rollout, name string) int { return strings.Compare(x.Name, name) })
	if found {
		b.Rollouts[at] = r
		return
	}
	b.Rollouts = slices.Insert(b.Rollouts, at, r)
}

// Place finds tables for another trial of a plugin; -1 when all are taken.
func (b *Book) Place(plugin string) int {
	var taken [Places]bool
	for _, r := range b.Of(plugin) {
		if r.Trial != nil {
			taken[r.Trial.Place] = true
		}
	}
	return slices.Index(taken[:], false)
}

// Chosen tells whether a device is in the share of a trial of the named rollout.
func Chosen(rollout string, device []byte, share int) bool {
	if share >= Whole {
		return true
	}
	key := append(append(make([]byte, 0, 64), rollout...), 0)
	return flow.Hash(append(key, device...))%Whole < uint64(share)
}
