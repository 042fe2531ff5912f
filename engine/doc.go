// Package engine is the map of Tidemill's house. It holds no code.
//
// Folders stand in the order in which data and decisions flow; each imports
// only what stands above it. layers_test.go checks that against the
// "Imports:" line of every doc.go, together with the other house rules.
//
//	flow/          what travels: items, batches, row metadata, key hashing, rows <-> text for tests
//	env/           the world outside: clock, file system, randomness, kill points; a real one and a simulated one
//	config/        HCL files -> typed blocks; variables; located diagnostics; limits before the parser
//	expr/          expressions -> typed programs -> vectorised kernels
//	state/         tables: key -> slot, value columns, snapshot and restore
//	journal/       the durable log: blocks in segments on disk, or on a simulated disk
//	decode/        payload bytes -> columns: JSON and CSV
//	mqtt/          the MQTT protocol and its server: packets, sessions, retained messages, subscriptions
//	stage/         the contract of a stage: Spec, Args, Bound, Source, Stage, Sink
//	stages/        what is built in, one folder a stage; builtin.go is the one sorted list
//	plan/          what will run: graph, schemas, routes, explain, diff against what runs now
//	run/           running it: tasks, alignment, checkpoints, swap; driven by goroutines or by a seed
//	simulate/      a fleet that does not exist: the deterministic generator of demonstrations and tests
//	admin/         looking at it and telling it: the control socket of a running engine
//	cmd/tidemill/  the command
//
// Imports: nothing
package engine
