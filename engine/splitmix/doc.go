// Package splitmix makes numbers that look like chance and follow from a seed: the same ones on every machine,
// for ever. Made fleets, detectors, guests and tests draw from it.
//
// Not here: chance of the outside world (env), and secrets, which come from crypto/rand: who has seen one number
// of this sequence knows all that follow. Spreading keys over slots or partitions is hashing (flow).
//
// Read splitmix.go.
//
// # Why not math/rand/v2?
//
// What is drawn reaches output, models and checkpoints, so the whole state has to be one word that lies in a
// column or a model, and the sequence has to be this one in every version of Go.
//
// Imports: nothing
package splitmix
