package decode

import "strings"

// node is a name that the decoder knows: of a field, or of an object that has
// fields. Both may be true of the list that is exploded.
type node struct {
	name   string
	col    *column // nil when it is no field
	prefix bool    // there are fields "name.x"
	split  bool    // the list to explode

	// Members mostly come in the same order: next is the node that came after
	// this one the last time.
	next *node

	blamed uint64 // stamp of the record, or element, that got a reject for this name
}

// nodes finds nodes by their names.
type nodes struct {
	byName  map[string]*node
	explode string
	root    node // stands before the first member of every record
}

func (t *nodes) reset() {
	t.byName = make(map[string]*node)
	t.root = node{}
}

func (t *nodes) find(name string) *node { return t.byName[name] }

// add returns the node of name and makes it if there is none.
func (t *nodes) add(name string) *node {
	if t.byName == nil {
		t.reset()
	}
	n := t.byName[name]
	if n == nil {
		n = &node{name: name, split: name == t.explode && name != ""}
		t.byName[name] = n
		for i := strings.IndexByte(name, '.'); i >= 0; {
			t.add(name[:i]).prefix = true
			j := strings.IndexByte(name[i+1:], '.')
			if j < 0 {
				break
			}
			i += 1 + j
		}
	}
	return n
}

// follow returns the node of name, which came after prev; nil when there is none.
func (t *nodes) follow(prev *node, name []byte) *node {
	if n := prev.next; n != nil && n.name == string(name) {
		return n
	}
	n := t.byName[string(name)]
	if n != nil {
		prev.next = n
	}
	return n
}
