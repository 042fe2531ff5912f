// Package objects is where files are put that are written whole and never
// changed: a folder of a file system, or a bucket that speaks S3.
//
// Both make the same promise: an object is there with all of its bytes, durably, or it is
// not there; a reader never sees half of one. A folder does it by another name,
// a sync and a rename; S3 by its nature, and by completing an upload in parts.
// A put can ask that nobody has put something there before, or that it still is the version
// that was read: that is how two writers find out about each other.
//
// # What is a version?
//
// Of S3, the object's ETag. Of a folder, a checksum of the content. Between its
// check and the rename another process can slip in: a folder is for one writer,
// and what stands in the objects says who that is (ledger).
//
// # Why does Put take all the bytes at once?
//
// Because they have to be there again when a put fails and is tried again, and what
// this engine puts is limited by what a sink gathers in memory.
//
// Imports: env
//
// Not here: what the objects mean (ledger). Start with objects.go; local.go and
// s3.go keep its promise, and objects_test.go holds both to it.
package objects
