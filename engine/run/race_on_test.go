//go:build race

package run

// RaceDetector says that the race detector looks on.
const RaceDetector = true
