// Package journal is the durable log: the only door through which anything
// that decides an outcome enters. A channel is one Log.
//
// Imports: env
//
// Not here: where records come from (stages/), how they become columns
// (decode), when a group is committed and who reads (run). Start with log.go,
// the contract; format.go draws the bytes.
package journal
