// Command tidemill reads a folder of HCL files and runs what they say. Each
// command is one file; main.go and root.go are the way in.
//
//	run       runs a folder                       run.go, processors.go, watch.go, status.go, lock.go
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
//
// # Why does run go on with one processor at times, where there are more?
//
// Whoever readies a goroutine makes the Go scheduler wake another processor to look for it, which on a virtual machine costs up to 25 us of CPU time. In
// W3 that is a sixth of all, and one processor has two thirds of its time to spare. So run looks 20 times a second at what the process has used: after half of a
// second of less than one processor's time it goes on with one, since what both used counts what they cost each other, and with all when two looks in a row find it at
// 95 %, or one comes late. Changing stops all goroutines for some 100 us.
//
// # Does it not change to and fro?
//
// One processor that was not enough for two seconds is tried again after a second, and after twice the time whenever that happens again, up to 16 seconds. So a load that
// two processors do and one does not costs four changes in half of a minute.
//
// # When does it keep all of them?
//
// Where the journals' groups are small (64 KiB in the mean, 32 once it goes with one): then somebody waits for each message, and a disk call that holds the only processor is
// a part of that wait. W3L, 20,000 messages a second, had its acknowledgements after 3.3 ms (p99 8 to 11) on one and 2.8 (5.5) on two. In groups of hundreds of
// messages the wait is the group's. Where there are plugins: a guest cannot be interrupted, and with one processor
// everything else would wait for it. And where GOMAXPROCS is set, it is what that says. go_sched_gomaxprocs_threads, among the metrics, tells how many there are.
//
// Where groups are as large as they become (768 KiB in the mean) it goes on with one only below half of a processor, and with all above 70 %: then records wait for the engine
// and not the other way round, as those of a file do, and one processor stands still while its disk writes. W1's two million records a second on one
// are two and a half million on both, though each costs a seventh less on one. By its groups an engine is also seen to fall behind a door's clients.
//
// # Why one or all, and nothing in between?
//
// The second processor is what brings the waking up: one is woken after the other, as each finds something to do, however many there are.
package main
