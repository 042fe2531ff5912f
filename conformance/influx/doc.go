// Package influx proves the sink "influxdb" against a real server, influxd
// 1.8.10, which speaks the APIs of versions 1 and 2. `make test` installs it as bin/influxd.
//
//	points_test.go   awkward points, written and read back equal
//	day_test.go      a day of 2,000 trailers in influxd and in Parquet, as DuckDB has it
//	real_test.go     a server away in real time, beside an engine whose server stays (TIDEMILL_AWAY=10m in make soak: for so long)
//	oracle_test.go   the shipped pipelines' data in influxd, as DuckDB has it
//	crash_test.go    influxd killed, connections cut at every stage of a request, the engine killed
//	hour_test.go     a server that is away for an hour
//	grafana_test.go  the queries of every panel of every dashboard
//
//	server.go starts, kills and asks influxd; proxy.go stands between and cuts.
//
// Imports: ports, rig, and of the engine what its tests need
//
// Not here: tests of the sink alone, which stand beside it. Start with server.go.
package influx
