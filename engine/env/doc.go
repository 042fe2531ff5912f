// Package env is the world outside, and the only door to it: clock, files,
// randomness, environment variables and the points at which tests kill a
// process. Real is this machine; Sim (sim*.go) is a machine that a seed
// drives, whose disk forgets what was not synced when it crashes.
//
// Imports: nothing
//
// Not here: connectors, which meet networks of their own (stages/). Start
// with env.go, the contract.
package env
