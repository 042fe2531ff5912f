// Package parquet writes rows as Parquet files, whole in memory, and reads them
// back a row group at a time.
//
//	batches, and which of their rows in which order
//	  └─ a row group of RowGroupRows:   column after column             file.go
//	       └─ gather the column's values from the batches               gather.go
//	            └─ choose an encoding for the chunk                     chunk.go
//	                 └─ pages of PageRows: levels, values, zstd         page.go, encode.go, decimal.go
//	footer: schema, statistics, page index, lineage                     file.go, schema.go, thrift.go
//
// Which encoding a column gets:
//
//	integer, timestamp  DELTA_BINARY_PACKED; a dictionary never
//	number              RLE_DICTIONARY when all values are short decimals of a narrow
//	                    range (decimal.go), else BYTE_STREAM_SPLIT
//	string              RLE_DICTIONARY while it is small, else DELTA_LENGTH_BYTE_ARRAY
//	bool                PLAIN, a bit each
//
// The same rows, in the same order, with the same options give the same bytes.
//
// # Why an encoder of our own?
//
// Because the library's spends most of its time hashing floats for dictionaries and moving values
// one by one into builders: 230 ns a row at its best and 690 as it comes. Columns that stand
// ready in batches are gathered and packed here for a fraction of that, and
// what is written is plain Parquet: DuckDB, hyparquet and arrow-go read each file of the tests.
//
// # Are there no dictionaries of floats, then?
//
// None that hash. A sensor's value is a decimal of one to four digits behind the point; times a power of
// ten it is a small integer, which is its own place in a table. Twelve bits a
// value and no search: both smaller and quicker than eight bytes to be squeezed.
//
// # Why is every page compressed, even one that does not shrink?
//
// Because a zstd frame carries a checksum of its content, which every reader of
// zstd checks: a flipped bit is an error and not another temperature. Page
// headers carry a CRC as well, for readers that look at it.
//
// Imports: nothing
//
// Not here: where files are put and which of them count (objects, ledger), when
// a file is whole (stages/sinkparquet). Start with file.go.
package parquet
