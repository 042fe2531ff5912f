package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestLockSoon: who starts while the one before is about to end waits for it, and says so once; who starts beside another that
// goes on is told who has the folder.
func TestLockSoon(t *testing.T) {
	dir := t.TempDir()
	first, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	report := func(line string) {
		told = append(told, line)
		time.AfterFunc(50*time.Millisecond, func() { _ = first.release() })
	}
	second, err := (&app{}).lockSoon(dir, report)
	if err != nil || len(told) != 1 || !strings.Contains(told[0], "waiting up to 5s") {
		t.Fatal(err, told)
	}
	if _, err := lockData(dir); !errors.Is(err, errLocked) {
		t.Errorf("a third one: %v", err)
	}
	if err := second.release(); err != nil {
		t.Error(err)
	}
}
