package expr

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// opcode says what a node does with its arguments.
type opcode uint8

const (
	opConst opcode = iota
	opColumn
	opCall   // kernel over args; strict unless lax
	opArith  // sub is one of + - * / %
	opCmp    // sub is a cmpOp
	opAnd    // three-valued
	opOr     // three-valued
	opNot    //
	opIsNull // sub 1: is not null
	opCond   // args: condition, then, else
	opCoalesce
	opConvert // to node.kind
	opTuple
)

// node is a checked part of an expression.
type node struct {
	op   opcode
	sub  uint8
	kind kind
	elem kind // of a list
	at   hcl.Range
	args []*node
	x    hclsyntax.Expression // as written, for messages; nil when there is nothing to show

	val  value    // opConst
	name string   // opColumn
	open *openVar // opColumn of an open scope: gives the kind
	call *callOp  // opCall
}

// value is a constant.
type value struct {
	null bool
	f    float64
	i    int64
	b    bool
	s    string
}

// callOp is what opCall runs. One is shared by all calls of a kernel with the
// same compiled constants.
type callOp struct {
	run kernel
	raw bool // the result may be infinite or NaN, which the next instruction turns to null
	lax bool // the kernel sets the validity itself
	aux any  // what was compiled from constant arguments
}

// k is the kind of n now: an open name may have got one since n was made.
func (n *node) k() kind {
	if n.open != nil {
		return n.open.kind
	}
	return n.kind
}

func (n *node) isConst() bool { return n.op == opConst }

// isNull says that n is null whatever the row.
func (n *node) isNull() bool { return n.op == opConst && n.val.null }

func badNode(at hcl.Range) *node { return &node{op: opConst, kind: kBad, at: at} }

func constNode(k kind, v value, at hcl.Range) *node {
	return &node{op: opConst, kind: k, val: v, at: at}
}

func nullNode(k kind, at hcl.Range) *node { return constNode(k, value{null: true}, at) }

// openVar is a name of an open scope, shared by all its uses in one expression.
type openVar struct {
	name string
	kind kind
	elem kind      // when kind is kList
	at   hcl.Range // first use
	use  hcl.Range // the use that gave the kind
}

func (v *openVar) arrowType() arrow.DataType {
	if v.kind == kList {
		return arrow.ListOf(v.elem.arrowType())
	}
	return v.kind.arrowType()
}
