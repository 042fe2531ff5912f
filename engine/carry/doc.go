// Package carry is what joins, lookups and buffers share: values that go from one row to
// another, kept in tables as bytes and put back as columns.
//
//	Column   gathers values and becomes an Arrow column           column.go
//	Codec    a row's values as bytes of a state table, and back   codec.go
//	Adder    rows with more columns; what is done where           adder.go
//	         the row that they come from is missing
//
// # A row as bytes
//
//	null            0
//	false | true    1 | 2
//	8-byte value    1 + 8 bytes, little-endian: integer, number (IEEE 754), timestamp (us)
//	string          1 + u32 length + bytes
//	list            1 + u32 count + its values, each encoded as above
//
// Imports: flow, config, expr, stage
//
// Not here: which row belongs to which (stages/join, stages/enrich). Start with adder.go.
package carry
