// Package journal is the durable log: the only door through which anything
// that decides an outcome enters. A channel is one Log.
//
//	Append ──> open blocks, by partition ──seal──> group ──Flush──> segment ──> tail cache ──> readers
//	(append.go)                                   (flush.go)      (format.go)   (cache.go)   (reader.go)
//	                                                 Open: open.go, recover.go, scan.go
//
// Imports: flow, env
//
// Not here: where records come from (stages/), how they become columns
// (decode), when a group is committed and who reads (run). Start with log.go,
// the contract; format.go draws the bytes.
//
// # Why is one file shared by all partitions?
//
// So that one fdatasync covers a group however many partitions it touches. A
// reader of one partition skips the others' blocks by their headers.
//
// # What may be missing after a crash, and how does recovery know?
//
// A group is written only after the one before was synced. So a block of group
// 8 proves that group 7 was durable, and what is unreadable in 7 has rotted: it is
// Lost, and nothing else is. Of the last group any sector may be missing, unless
// Options.Floor shows that readers have had it: what is missing there is Void, since nobody was
// told that it is safe. A block says how many of its group stand before it, so that the two are told apart. There, records that a source can
// send again count only up to the first hole in their partition, because a
// Position can not tell a hole; those past it are void, the Head of the next
// segment says so for ever, and the source sends them again. Records that cannot be
// asked for again count wherever they are readable.
//
// # Why does a Head, and not a truncation, overrule the past?
//
// What recovery decides must be decided once. Truncating would destroy what a
// person may want to look at, and a file that is never shortened, and never written
// but with what it holds, cannot be made worse by a bug here. The Head is one block with one checksum:
// it is there or it is not.
//
// # Why does a failed sync start a segment?
//
// After a failed fsync the system shows the data to whoever reads them, but a
// later fsync that succeeds does not write them (Rebello et al., Can Applications
// Recover from fsync Failures?, ATC 2020). A next Open would believe the page
// cache, and a power cut would then take away what it had built on. So the
// failing log writes one more Head, in a new segment, that does not know the failed
// group. If that cannot be written either, or the process dies before it is, or
// the sync that Open itself does fails, the next Open counts the group. Of every
// segment that it reads it writes the last group once more, the same to the same
// place, and syncs that (env.Settle): pages that a failed sync gave up are clean, and
// are written only if they are made dirty again.
//
// # Why is the page cache given back?
//
// Writing to pages that the kernel must first find costs two to four times as
// much as writing to pages that were freed a moment ago (a record of 206 bytes: 52-68 ns
// against 58-281, measured with nothing else in the program). Readers at the
// tail are served from memory of our own; a reader that is further behind reads the disk.
//
// # Why is a large group written around the page cache, and a small one not?
//
// The system spends more on finding pages for a write, and on taking them away again, than on
// the write: with whole pages written directly W1 costs 5 to 10 % less. But direct writes come in
// whole pages, and sparse traffic would fill the disk with padding. So what is small goes through the page cache.
// A large group ends with a padding, and each of its large blocks does, which is a page of at least sixteen: then a block is
// written from where it lies. The padding is part of the block, so that recovery need not know of it, and its checksum
// covers it. Before, the first and last page of a group went through the page cache, which cost a fourth of
// the system's time in W1, and all of it was copied into memory that began at a page, which cost as much as the copy before it.
//
// # Why does a block leave the cache when it has been read once?
//
// Where a partition has one reader, nobody else at the tail wants it, and memory that is filled again soon is
// still in the processor's cache: that is a tenth of W1. Who opens the partition later reads the disk.
//
// # Why is there no preallocation?
//
// It was measured and saves nothing here: the file system has to turn
// unwritten extents into written ones at each sync.
//
// # Why does an owner make an empty segment at Open?
//
// Its name is what displaces the owner before: a log that finds the segment
// after its own there when it flushes is fenced. That is a guard
// within a process and against mistakes; the lock on the data folder is run's.
package journal
