package env

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// relaxed is by how much the runtime's watch may sleep longer than it asks for: a goroutine that waits for a processor
// which another's system call holds gets it after one to two times that at the latest.
const relaxed = 500 * time.Microsecond

// Relax lets the Go runtime's own watch over blocked system calls (sysmon) wake up less often: every half of a millisecond
// in place of every 70 us, as long as calls block now and then, which writing and syncing does. Each time wakes a
// processor up, which on a virtual machine costs up to 25 us of CPU time: a fourth of all, when a file is read.
//
// It asks the kernel to be late by up to relaxed with that thread (timerslack_ns, proc_pid_timerslack_ns(5)), which takes
// CAP_SYS_NICE: root has it, and a service may be given it, or TimerSlackNSec= in its systemd unit. The
// result is false where that is not allowed; then nothing has changed.
func Relax() bool {
	for range 100 { // it may just be awake
		if thread := sleeper(); thread != "" {
			slack := strconv.FormatInt(relaxed.Nanoseconds(), 10)
			return os.WriteFile("/proc/"+thread+"/timerslack_ns", []byte(slack), 0) == nil
		}
	}
	return false
}

// sleeper returns the id of the thread that sleeps in nanosleep, which no other of the runtime's does; or "".
func sleeper() string {
	calls, err := filepath.Glob("/proc/self/task/*/syscall")
	if err != nil {
		return ""
	}
	want := strconv.AppendInt(nil, unix.SYS_NANOSLEEP, 10)
	for _, name := range calls {
		text, err := os.ReadFile(name)
		if number, _, _ := bytes.Cut(text, []byte(" ")); err == nil && bytes.Equal(number, want) {
			return filepath.Base(filepath.Dir(name))
		}
	}
	return ""
}

// GiveBack gives the memory of b, which becomes zeros, back to the system until it is used. What is not whole pages stays.
func GiveBack(b []byte) error { return unix.Madvise(b, unix.MADV_DONTNEED) }

// HugePages asks that what is touched first of b from now on comes in pages of 2 MiB: one fault in place of 512, and a processor that finds
// addresses with fewer looks into the page tables, of which a virtual machine has two. It is advice (madvise(2), MADV_HUGEPAGE): a
// system that has none left, or is told never to give them, gives small ones.
func HugePages(b []byte) error { return unix.Madvise(b, unix.MADV_HUGEPAGE) }
