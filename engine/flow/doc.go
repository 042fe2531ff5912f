// Package flow says what travels through the engine: items on edges, batches
// of rows, and the metadata columns that every batch carries.
//
// # A batch
//
// A batch is an Arrow record batch. Its first columns are metadata, the same in
// every batch of every edge; user columns follow. An edge's schema never
// changes while a graph lives.
//
//	 col  name       type           what
//	+----+----------+--------------+------------------------------------------------+
//	| 0  | _offset  | int64        | offset of the record in its channel partition  |
//	| 1  | _index   | int32        | position within an exploded record, else 0     |
//	| 2  | _received| timestamp us | receive time, from the journal                 |
//	| 3  | _time    | timestamp us | event time                                     |
//	| 4  | _slot    | uint32       | dense number of the row's key in its partition |
//	| 5  | _mark    | int64        | watermark of that key after this row, us       |
//	+----+----------+--------------+------------------------------------------------+
//	| 6+ | user columns; a nested field a.b is the column "a.b"                      |
//	+----+---------------------------------------------------------------------------+
//
// Metadata columns hold no nulls. Times are microseconds since 1970, UTC.
//
// # Why does every row carry its key's watermark?
//
// A filtered row still moves its device's clock, and batch boundaries must
// decide nothing. With the watermark as it stands with each row in the row
// itself, a window decides lateness row by row however the input was cut and
// whatever was filtered in between. (A row's own time is never past the end of
// its own window, so "before" and "with" the row decide lateness alike, and
// "with" lets a row close the windows before its own.) What filtered rows moved
// after the last row that passed travels in Item.Marks.
//
// Imports: nothing
//
// Not here: how batches are made (decode), what is done to them (stages), and
// who moves them (run). Start with item.go.
package flow
