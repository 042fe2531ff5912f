// Command tidemill reads a folder of HCL files and runs what they say. Each
// command is one file; main.go and root.go are the way in.
//
//	run       runs a folder                       run.go, watch.go, status.go, lock.go
//	validate  finds every mistake in it           validate.go
//	plan      says what would run, and change     plan.go
//	apply     changes what a running engine does  apply.go
//	tap       shows the rows that pass an edge    tap.go
//	top       shows what a running engine does    top.go, screen*.go
//	test      runs the tests beside pipelines     test.go
//	replay    runs history once more              replay.go, replay_show.go
//	device    says what is known of devices       device.go
//	fmt       lays files out                      fmt.go
//	graph     draws the graph                     graph.go
//	simulate  writes or publishes a fleet's       simulate.go, simulate_mqtt.go, resume.go
//	query     answers SQL over the lake           query.go, query_prompt.go, query_child.go, query_worker.go
//	backtest  tries detectors on history          backtest.go, backtest_folder.go
//	feedback  tells a detector that it was wrong  feedback.go
//	plugin    writes, tests, measures plugins     plugin*.go
//	bench     measures                            bench*.go
//
// Imports: flow, env, config, expr, state, journal, decode, ledger, lake, query, objects, parquet, mqtt, lineproto, publish, device, rollout, modules, wasm, stage, stages, plan, run, simulate, pipetest, replay, detect, backtest, plugindev, admin
//
// Not here: anything that decides an outcome. Start with root.go.
package main
