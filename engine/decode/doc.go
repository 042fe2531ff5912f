// Package decode turns payload bytes into columns. JSON, by schema, with the
// order of fields guessed from the record before. Payloads that a plugin decodes become one column as
// they are, with their topics beside them (raw.go).
//
// A record goes one of two ways, which give the same:
//
//	record ──► plans.fit ── fits ──► follow: compare the bytes between values,    fast.go
//	              │                  convert the values where they stand
//	              └─ misses ──► record: member by member, every byte checked,     general.go, scan.go
//	                            and the layout is remembered as a plan            plans.go
//
// Where the processor can, 64 records of one layout go the first way together, a column at a time (strips.go).
//
// # What is a record, and what is not?
//
// One object by RFC 8259 and nothing after it; testdata/json_cases.txt has 505
// answers. What is no JSON, or no object, rejects the record whole. What is
// JSON, but not what the field should be, rejects the field, and the row lives
// on with a null. What RFC 8259 leaves open is answered so:
//
//	name twice         the field is null and rejected: taking one of two values would be a guess
//	out of range       the field is rejected; what is too small for a float64 is 0
//	not UTF-8, half a  the record is rejected: its text could not be passed on
//	surrogate pair
//	byte order mark    the record is rejected: RFC 8259 section 8.1 forbids it
//	nesting            up to Config.MaxDepth, 64, whatever the values are for
//
// Byte positions in reasons count from 1.
//
// # Why are {"a":{"b":1}} and {"a.b":1} the same field?
//
// A field is a column, and a column has one name. A value where an object
// was, or an object where a value was, is a contradiction like any other.
//
// # What is learned, and what is not?
//
// The first value that is not null decides: number, bool, string, or a list of
// one of these. Numbers are float64; texts that look like times stay texts.
// Lists of objects, of lists, and of several types are ignored and counted, and
// so are "", names of metadata columns such as _time, names over 1,024 bytes,
// and everything new once there are Config.MaxFields fields, declared ones
// included: a limit on learned fields alone would depend on when the engine was
// started. A record that is rejected teaches nothing.
//
// # What if the payload has a field that comes from the topic?
//
// The topic counts, since who may publish there can be checked (mqtt's allow), and nobody can where a payload claims a name. Where
// some way into the channel has no such level (Field.OrPayload) the payload's text counts in the records that lack it, which is where
// their partition was chosen by as well. In the other records it is ignored and counted even where it is no text, or stands twice. Records that were
// written before payloads counted give the same when they are replayed, but for columns that were null then.
//
// # When is a time without a zone?
//
// Then it is UTC, with a T or a space in it, or without a time of day. Offsets
// may be without a colon (+0100) or without minutes (+01), and times without
// seconds (10:15Z). Digits beyond microseconds are dropped. Second 60 is the second after 59.
//
// # How can a plan be right that compares so little?
//
// It compares all that is not a value: names, separators, brackets, white space.
// Those bytes, with values of the same kinds between them, are the same
// object with the same members. Where a value ends is guessed from what
// followed it before; a wrong guess fails to convert or to find the next
// bytes. Then the general way decides, so that a plan can cost time only.
//
// # Why no builders?
//
// They cost 57 ns a record, slices 19.
//
// # Why vectors in assembly, and only for numbers?
//
// Numbers are half of the work, and eight at a time they cost a third
// (tokens.go). Go's own vectors are an experiment still, while its assembler is
// part of the Go 1 promise. Where the processor has no AVX-512, numbers are read one by one,
// eight bytes at a time in plain words, with the same result.
//
// # Why are columns that only rows behind a filter need decoded for all rows?
//
// Because nearly all of the work is to find where values are and that they are what they should be, and a
// contradiction has to be rejected whether a filter lets the row through or not. What
// is left, to convert eight numbers at a time or to copy a short text, is less than what
// it would cost to do it for single rows later.
//
// Imports: flow, journal
//
// Not here: what is read and when (run); event time and keys' slots, which the
// channel's own stage adds. Start with decode.go, the contract, then json.go.
package decode
