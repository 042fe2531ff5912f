// Package engine is the map of Tidemill's house. It holds no code.
//
// Folders stand in the order in which data and decisions flow; each imports
// only what stands above it. layers_test.go checks that against the
// "Imports:" line of every doc.go, together with the other house rules.
//
//	splitmix/      numbers that look like chance and follow from a seed
//	flow/          what travels: items, batches, row metadata, key hashing, rows <-> text for tests
//	env/           the world outside: clock, file system, randomness, kill points; a real one and a simulated one
//	config/        HCL files -> typed blocks; variables; located diagnostics; limits before the parser
//	expr/          expressions -> typed programs -> vectorised kernels
//	state/         tables: key -> slot, value columns, snapshot and restore
//	detect/        anomaly detectors: models in flat memory, one a device; the benchmark's scorer; made telemetry
//	journal/       the durable log: blocks in segments on disk, or on a simulated disk
//	decode/        payload bytes -> columns: JSON, or as they are for plugins that decode
//	mqtt/          the MQTT protocol and its server: packets, sessions, retained messages, subscriptions
//	lineproto/     rows -> InfluxDB line protocol
//	publish/       many MQTT clients that publish, cheaply: a fleet's side of the door, a sink's way to a broker
//	objects/       files written whole, in a folder or in S3
//	parquet/       rows <-> Parquet files
//	benthos/       inputs and outputs of Benthos, as the engine runs them
//	ledger/        which Parquet files are a table: the list, merging small ones, removing old ones
//	wasm/meter/    fuel metering put into WebAssembly modules, without a change of what they compute
//	wasm/          what is plugged in: host, limits, rows in and out of guests, keyed state
//	modules/       modules by their digests, and who has signed them
//	device/        the registry of devices: ids, attributes, its channel, its changes in other channels
//	rollout/       which version of a plugin a device's rows get; what trials are measured by
//	stage/         the contract of a stage: Spec, Args, Bound, Source, Stage, Sink
//	carry/         values that stages take from one row to another: kept as bytes, put back as columns
//	stages/        what is built in, one folder a stage; builtin.go is the one sorted list
//	plan/          what will run: graph, schemas, routes, explain, diff against what runs now
//	run/           running it: tasks, alignment, checkpoints, swap; driven by goroutines or by a seed
//	lake/          reading tables of Parquet files: catalog, views, verification
//	query/         SQL over those tables, with DuckDB where it is built in
//	simulate/      a fleet that does not exist: the deterministic generator of demonstrations and tests
//	pipetest/      tests beside pipelines: test blocks, a virtual clock, crashes, what came against what should have
//	replay/        history once more: the engine over a piece of a journal, two configurations compared, step by step
//	backtest/      detectors tried on history: reports, pictures, a proposal
//	plugindev/     for those who write plugins: projects, compilers, tests, guarantees
//	admin/         looking at it and telling it: the control socket of a running engine
//	cmd/tidemill/  the command
//
// # Where the house differs from its design
//
// The design page that this was built to is the contract; here is what was
// built otherwise, and why.
//
// One log a channel, not one a partition. Blocks of all partitions stand in
// one sequence of segments, so that one fdatasync makes a whole group durable,
// and what a source has delivered is a prefix of that sequence. Readers still see
// partitions with offsets of their own, as Kafka would show them.
//
// A learned schema is not a control record. It follows from the partition's own
// records alone, so every replay learns the same at the same offset, and
// checkpoints carry it (plan/doc.go).
//
// The watermark of a row's key stands in the row (_mark), as it is with that
// row. A window then judges every row alike however batches were cut (flow/doc.go).
//
// A task is one channel partition with all pipelines that read the channel: a
// record is decoded once. Goroutines deal the partitions among them, so "another
// number of tasks" is another number of goroutines over the same partitions.
//
// A channel that a pipeline feeds is not a journal with its partitions but one log for each
// feeding sink, with a partition for each pair of tasks; the order among them is made
// where they are read (run/merge.go). So nobody who writes waits for another, and what
// a crash has left behind the last checkpoint is void.
//
// CSV becomes JSON where a file is read (stages/ingestfile), so that a record
// in the journal is whole without a header that stood elsewhere.
//
// detect/, lineproto/, publish/, objects/, parquet/, benthos/, ledger/, mqtt/, simulate/, pipetest/, replay/ and
// others are rooms that the design's list did not have: what is mathematics, an encoding or a protocol stands alone.
//
// Imports: nothing
package engine
