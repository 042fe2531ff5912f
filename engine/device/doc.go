// Package device knows devices by what a person says of them: the registry, which fleets select on.
//
//	tidemill device set|import ──▶ Store, a compacted channel ──▶ Change, a control record ──▶ Table, in each task
//
// A device is its id and attributes, texts by name. In selectors they are registry.NAME, null where the
// device has no such attribute.
//
// # Why do tasks have copies of the registry?
//
// So that a replay sees at each offset what was known there. The channel is only what a
// process begins with.
//
// # How is a channel compacted?
//
// When it is opened and more than half of it is history: what still counts is
// written into a channel beside it, whose last record says that it is whole, and the old one is removed.
//
// Imports: env, journal, state
//
// Not here: which version a fleet's devices get (rollout), when changes reach the journal (run). Start with
// change.go, then store.go.
package device
