// Package pipetest runs the tests that stand beside pipelines: test blocks in
// *.test.hcl files. The production plan, journal, tasks, stages and checkpoints
// run on a simulated machine with a virtual clock; only what reaches outside
// is replaced: records come from the test, and what sinks get is kept.
//
//	test "too_warm" {
//	  rows {
//	    to    = channel.telemetry
//	    table = <<-EOT
//	      at   device  ts   temp  setpoint
//	      0s   t1      +0s  -10   -18
//	      5m   t1      +5m  -10   -18
//	    EOT
//	  }
//	  expect {
//	    from  = alarm.too_warm
//	    table = <<-EOT
//	      device  time  event
//	      t1      +5m   raised
//	    EOT
//	  }
//	}
//
// A stage that asks a server (stage.Bound.Asks) is answered by the test:
//
//	answer {
//	  to    = enrich.sites
//	  at    = "10m"        # from when on, and for how long; 0s, and to the end
//	  for   = "2m"
//	  table = <<-EOT ...   # or body, file, status, hang = true, fail = true
//	  after = "20s"        # how long it takes
//	}
//
// # Where does a test begin and end?
//
// Its clock starts at `start`. Records arrive at their `at`; between them the
// clock moves on by ticks of `tick`. When everything has arrived and `until` is over, the
// inputs are at their end, so that windows close, unless end = false.
//
// # Why are rows compared without their order?
//
// The rows of one key are in order, but partitions are not ordered among one
// another. ordered = true compares the order of rows as well, as it is for one partition.
//
// # Which conditions does the coverage count?
//
// where, when, clear, while and suppress, and in them what stands before a question mark. Each is evaluated once more by a rule beside the stage, over
// the rows that the stage reads. having is left out: what it looks at is not in any row.
//
// # Why has a test to answer what it does not look at?
//
// The whole configuration runs, and an enrich has no rows to give before it has a table. A table
// that everybody gets unasked would hide that one is missing.
//
// # Why is a longer test's tick longer?
//
// A tick is a control record in every partition. A day has 86,400 seconds, and
// no test waits for each: it has 1,440 ticks, of a minute; tick = "1s" insists.
//
// Imports: splitmix, flow, env, config, expr, journal, decode, stage, stages, plan, run, simulate
//
// Not here: tests of stages in Go (stages/stagetest), seeds that crash and swap
// at random (conformance/sim), the command (cmd/tidemill). Start with test.go, then world.go.
package pipetest
