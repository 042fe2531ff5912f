// Package stage is the contract between the engine and a stage.
//
// A stage's life has three steps, and only the last touches the world:
//
//	Decode  the block's body fills the Args that Spec.Args returned, defaults
//	        included (gohcl tags); no code of the stage runs
//	Bind    Args.Bind sees the schemas that come in and says what goes out; all
//	        mistakes of the author surface here, with positions
//	Open    Bound.Open* makes the running thing
//
// validate and plan stop after Bind; a swap opens a new graph beside the old
// one before anything moves.
//
// Imports: flow, env, config, expr, state, journal, decode, objects, mqtt, device, rollout
//
// Not here: stages (stages/), who calls them (run). Start with stage.go.
package stage
