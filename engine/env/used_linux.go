package env

import (
	"time"

	"golang.org/x/sys/unix"
)

// Used returns the CPU time that the process has taken so far, of all its threads; ok is false where the system does not tell.
func Used() (used time.Duration, ok bool) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}
