// Package demo is the test of `make run`: .ci/demo with a smaller fleet, killed with all
// it has started, and run again.
package demo
