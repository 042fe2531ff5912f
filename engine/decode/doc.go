// Package decode turns payload bytes into columns. JSON, by schema, with the
// order of fields guessed from the record before.
//
// Imports: flow, env, journal
//
// Not here: what is read and when (run); event time and keys' slots, which the
// channel's own stage adds. Start with decode.go, the contract.
package decode
