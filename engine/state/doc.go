// Package state holds tables: keyed state that the engine snapshots. Stages
// own no other state; what else they keep must follow from their tables.
//
// # A snapshot's encoding
//
// Numbers are little-endian. A text is a u16 length and its bytes. Nothing is
// aligned.
//
//	+--------------+---------------------------------------------------------+
//	| 4            | "TMTB"                                                  |
//	| u8           | version, 1                                              |
//	| u8           | flags: 1 = full (a base), else a delta                  |
//	| u16          | C, number of value columns                              |
//	| u32          | N, number of rows, one a slot                           |
//	| u32          | slots that were ever in use                             |
//	| text, text   | name and digest of the declaration                      |
//	+--------------+---------------------------------------------------------+
//	| C times      | u8 type (0 f64, 1 i64, 2 u32, 3 bytes), u16 width, name |
//	+--------------+---------------------------------------------------------+
//	| N * u32      | slot, rising                                            |
//	| N * u8       | 0 deleted, 1 has a key, 2 has the null key, 3 has none  |
//	| blob         | keys                                                    |
//	+--------------+---------------------------------------------------------+
//	| C times      | N * width values, or a blob                             |
//	+--------------+---------------------------------------------------------+
//	| u32          | CRC32C of all of the above                              |
//	+--------------+---------------------------------------------------------+
//
//	blob:  u64 total | N * u32 length | total bytes
//
// # Questions
//
// Why are columns wide? What belongs to one key and is touched together should
// lie in one cache line: with 200,000 keys each line costs a miss. A column of
// width 8 is an array of structs where a stage wants one.
//
// Why anonymous slots? A window has many panes a key. To give each a key of its own
// would cost a hash and an arena copy a pane; a link in a column costs a load.
//
// Why is the hash not seeded? Randomness stands outside (env), and slots do not
// depend on it. A sender who makes keys collide slows its own partition; keys
// are authenticated names and limited by MaxKeys.
//
// Why is a snapshot copied before it is taken (Ahead), and not after, as what changes is saved first? Stages write into
// columns and say Touch later, or before; a copy after the barrier would need each of them to ask first. What is copied twice, since
// it changed in between, is as many slots as rows came meanwhile.
//
// What is a Seldom table? One whose owner can make a slot again from an older copy of it and what its other tables hold: models, with a
// log of what they have learnt since. It has deltas only, each written to a place that is told with it (seldom.go).
//
// Why is what a column leaves as it grows given back to the system at once, and not by the collector? A virtual machine pays for memory
// that is new to it, and pays most where a table is largest: of a window with a million keys growing took a third to two thirds of the time (room.go).
//
// Imports: flow, env
//
// Not here: where snapshots are written (run), expiry (the stages: it depends on
// event time). Start with table.go, then snapshot.go.
package state
