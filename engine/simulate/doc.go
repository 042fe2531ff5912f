// Package simulate is a fleet that does not exist: refrigerated trailers on
// the road, each of which sends a line of JSON every 30 seconds. The same
// options give the same bytes on every machine, which is why all of it is
// computed in integers.
//
//	{"device":"trailer-00042","ts":"2026-11-22T10:15:30.000Z","site":"rotterdam",
//	 "lat":51.92442,"lon":4.47775,"speed":83.2,"temp":-17.93,"setpoint":-18.0,
//	 "ambient":11.4,"door_open":false,"fuel":71.25,"battery":12.61,"seq":123456}
//
// # What a trailer does
//
// It drives, stops, and opens its door for a part of the stop. The cargo's
// temperature follows the ambient air through an open door quickly and through
// the walls slowly; a compressor with two thresholds pulls it back to the
// setpoint. So about 5 % of the rows satisfy temp > setpoint + 3 && !door_open,
// with no fault at all: trailers that pull down after a stop. Faults come on top, see Options.
//
// Imports: splitmix
//
// Not here: the command that writes the lines (cmd/tidemill). Start with
// options.go, then trailer.go.
package simulate
