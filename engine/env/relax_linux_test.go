package env

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// mayNice tells whether this process has CAP_SYS_NICE (capability 23 of linux/capability.h).
func mayNice(t *testing.T) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, set, _ := strings.Cut(string(status), "CapEff:")
	set, _, _ = strings.Cut(set, "\n")
	bits, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return bits>>23&1 == 1
}

// TestRelax: one thread, and not the one that asks, may be late afterwards.
func TestRelax(t *testing.T) {
	if _, err := os.Stat("/proc/self/timerslack_ns"); err != nil {
		t.Skip("this kernel does not know timerslack_ns")
	}
	// Where others want the processor, the watch can be awake, and wait for its turn, for as long as Relax looks. It
	// sleeps in another way while there is nothing to do for anybody: so this goes on and on.
	for end := time.Now().Add(time.Minute); !Relax(); {
		if !mayNice(t) {
			t.Skip("this takes CAP_SYS_NICE")
		}
		if time.Now().After(end) {
			t.Fatal("the runtime's watch was not found")
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	var late []string
	for _, task := range tasks {
		slack, err := os.ReadFile("/proc/" + task.Name() + "/timerslack_ns")
		if err == nil && strings.TrimSpace(string(slack)) == "500000" {
			late = append(late, task.Name())
		}
	}
	if len(late) == 0 {
		t.Errorf("of %d threads none may be late", len(tasks))
	}
}

// TestGiveBack sees memory that was given back come again as zeros.
func TestGiveBack(t *testing.T) {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = 1
	}
	if err := GiveBack(b); err != nil {
		t.Fatal(err)
	}
	for i, v := range b {
		if v != 0 {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
}

// TestHugePages: the system knows of the wish ("hg" among the flags of that memory, proc_pid_smaps(5)).
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel does not know such pages")
	}
	b := make([]byte, 64<<20)
	if err := HugePages(b); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	middle := uintptr(unsafe.Pointer(&b[len(b)/2]))
	within := false
	for line := range strings.Lines(string(text)) {
		var lo, hi uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &lo, &hi); n == 2 {
			within = lo <= middle && middle < hi
		}
		if flags, is := strings.CutPrefix(line, "VmFlags:"); is && within {
			if !strings.Contains(flags, " hg ") {
				t.Errorf("the flags are%s", flags)
			}
			return
		}
	}
	t.Error("the memory is not in the list")
}
