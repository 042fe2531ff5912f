// Package expr compiles expressions, written in HCL's syntax, to typed programs
// that run over whole batches.
//
// Imports: flow
//
// Not here: which expressions a stage has (stages/), aggregates' states
// (stages/window). Start with expr.go, the contract.
package expr
