// Command tidemill-peer does the work of `tidemill bench` with Benthos, so that
// both are measured on one machine in one run.
//
//	tidemill-peer -workload W1 -input F.ndjson -output G.ndjson
//
// W1 lets rows pass with temp > setpoint + 3 && !door_open and adds over = temp -
// setpoint. W2 makes five-minute windows by device: average and greatest temp, count.
//
// W3 is W1 over MQTT: -input is the broker, behind which it subscribes to bench/#. It has
// no end; whoever started it ends it.
//
// # Why are W2's windows batches of a number of messages?
//
// Benthos' own system_window closes windows by the wall clock and drops what is
// older, so a file of the past gives nothing. Instead -group messages, the
// number of a window's records, form a batch that is grouped by device and window: a
// window may come in two rows where a batch cuts it, and the bench adds such rows up. This
// is less work than a window by event time, in favour of the peer.
//
// The file must hold a multiple of -group records: Benthos waits for ever for the
// rest of a batch that has no period, and a period would cut by the wall clock.
//
// Imports: nothing
//
// Not here: measuring and comparing (engine/cmd/tidemill, bench*.go). Start with main.go; mqtt.go is
// the input of W3.
package main
