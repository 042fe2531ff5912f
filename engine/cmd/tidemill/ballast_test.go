package main

import (
	"runtime"
	"testing"
)

// TestBallast: what the heap is to grow into is free when the engine starts, and only the ballast counts as live.
func TestBallast(t *testing.T) {
	runtime.GC()
	before := heapTaken()
	b := ballast()
	if grown := heapTaken() - before; grown < int64(len(b))-(8<<20) || grown > int64(len(b))+(8<<20) {
		t.Errorf("the heap has grown by %d bytes, of which the ballast are %d", grown, len(b))
	}
	runtime.KeepAlive(b)
}

// heapTaken is how many bytes of the heap are taken, as far as the collector knows.
func heapTaken() int64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
