// Package rollout lets versions of a plugin come and go while rows flow, and checks each row against
// what the journal says of it. It holds tests only.
//
//	model_test.go     a second reading of the journal: which version a row must have had, and what it said
//	drill_test.go     shadow, canary, rollback by itself, promotion, under live MQTT; the same journal once more, byte by byte
//	decode_test.go    the same for a plugin that decodes payloads
//	pipeline_test.go  pipelines/trailer_health until its new version is promoted
//	refused_test.go   what validate says of rollouts that cannot be
//	kill_test.go      kill -9 in the midst of swaps
//
// Imports: ports, engine/device, engine/rollout, engine/run
//
// Not here: what a control record holds (engine/rollout), how rows are split (engine/stages/transformwasm). Start
// with model_test.go.
package rollout
