// Package lineproto writes rows as InfluxDB line protocol.
//
//	measurement,tag=value,tag=value field=value,field=value timestamp
//
//	what             escaped by a backslash        written otherwise
//	measurement      comma space                   line ends: \n \r, as two characters
//	tag, its value   comma space equals            the same
//	field's name     comma space equals            the same
//	text             quote backslash               between quotes, line ends as they are
//
// A null is left out. An integer ends in i, a number in the shortest digits that read back
// as the same value (as strconv and encoding/json write it), a time as an integer of
// nanoseconds since 1970.
//
// # What cannot be written?
//
// A name or a tag that ends in a backslash would swallow what follows: there is no
// escape for a backslash. A measurement that is empty, begins with #, or has a
// backslash before a comma, a space or an equals sign, which influxd 1.8 unescapes twice. NaN and infinities. A time
// before 1677-09-21 or after 2262-04-11, which no 64 bits of nanoseconds hold. A
// row without any field. Each is told (Problem), and nothing is written of it.
//
// # Why are control characters in names written as two characters?
//
// A line ends at a line feed wherever it stands outside quotes, and the format has no escape
// for one. Other writers of the protocol do the same, so queries written for them
// find these series too.
//
// Imports: flow
//
// Not here: what becomes a tag or a field, and how lines travel
// (stages/sinkinfluxdb). Start with encoder.go; column.go is a column at a time.
package lineproto
