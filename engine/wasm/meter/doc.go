// Package meter reads WebAssembly modules and inserts fuel metering into them.
// What a module computes stays as it is.
//
// The rewritten module has one import more, one global more (mutable, i64,
// exported) and a check at every place where it could run on for ever:
//
//	function entry    unless it is short and calls nothing else: its callers pay then
//	loop header       in a local, which costs a subtraction and a branch a turn; a loop that
//	                  is counted pays for all its turns before it begins (counted.go)
//	bulk operations   memory.fill, memory.copy, memory.init, table.*: by length
//	memory.grow       a flat price, likewise table.grow; limits are lowered too
//
//	          original                          rewritten (a function with a loop)
//	+---------------------------+     +------------------------------------------------+
//	| func (param..) (result R) |     | func (param..) (result R) (local.. f: i64)     |
//	|                           |     |   f = $fuel - cost                             |
//	|                           |     |   block (result R)       ;; label of the body  |
//	|   loop (result S)         |     |     block (result S)                           |
//	|                           |     |       loop                                     |
//	|                           |     |         block                                  |
//	|                           |     |           loop (result S)                      |
//	|                           |     |             f = f - cost                       |
//	|                           |     |             if f < 0 { br (out of the block) } |
//	|     call $g               |     |             $fuel = f; call $g; f = $fuel      |
//	|     return                |     |             br (to the body's end)             |
//	|   end                     |     |           end; br (behind all of it)           |
//	|                           |     |         end                                    |
//	|                           |     |         f = $more(f) + cost; br (into the loop)|
//	|                           |     |     end; end                                   |
//	|                           |     |   end                                          |
//	|                           |     |   $fuel = f                                    |
//	| end                       |     | end                                            |
//	+---------------------------+     +------------------------------------------------+
//
// $more is the import, (i64) -> (i64): it takes what is left, a negative number,
// and returns what there is then, or does not return.
//
// # What is a unit of fuel?
//
// An instruction, of those that a module has; block, loop, else, end, drop and nop are free. Ways that are not
// taken may be paid for too: of a function without loops, of a cheap loop's turn (256), of what a counted loop leaves
// out when it is left early (4,096). That depends on the module's code alone, so the same rows cost the same in
// every run and on every machine; another version of this package may count otherwise.
//
// # Where does code look whether there is fuel?
//
// In every turn of a loop that is not counted, and where functions begin that are in a ring of calls, that call
// through a table, or that cost more than 4,096 with all they call (calls.go). So between two looks the code runs
// straight, bounded by its own length and some 65,536 units of what it calls.
//
// # Why a local, and not the global alone?
//
// A counter in memory costs a load and a store that depend on each other, about
// four cycles a turn: as much as a whole turn of a loop over a column. A local
// lives in a register. Functions without loops use the global, since they pay once.
//
// # Why is a loop entered again to get more fuel?
//
// With a call in a loop, all that a turn keeps in registers needs a place in memory, and what is known of
// memory's length is forgotten, even where the call is not made: that took up to a quarter of the time of code that
// walks through bytes. Loops that take operands from the stack have the call in them still.
//
// # Why an import, and not a trap?
//
// A host function lets the Go runtime stop the goroutine for garbage
// collection, which native code does not. Fuel is given out in slices, so that a slice bounds
// the pause; the host looks at the clock there too.
//
// # How can the module not reach its own meter?
//
// Every index in the original is checked against the original's counts before
// anything is inserted: a module that names the global, the local or the
// import that it is about to get was not valid, and is refused. Function indices
// behind the import move up by one and so never name it.
//
// Imports: nothing
//
// Not here: what fuel costs a row, and who gives it (wasm). Types are checked by
// the runtime that compiles the result. Start with rewrite.go.
package meter
