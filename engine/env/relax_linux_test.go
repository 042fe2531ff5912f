package env

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
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
