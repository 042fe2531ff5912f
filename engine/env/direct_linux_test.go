package env

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"unsafe"
)

// TestWriteDirect: what was written directly is read, also next to what was not, and a file system
// either does it or says that it does not, and has then written nothing.
func TestWriteDirect(t *testing.T) {
	f, err := Real().FS.Open(filepath.Join(t.TempDir(), "f"), Create)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem := bytes.Repeat([]byte("tide"), 2048)
	mem = mem[-int(uintptr(unsafe.Pointer(&mem[0])))&(DirectPage-1):]
	page := mem[:DirectPage]
	direct := f.(DirectWriter)
	want := append(bytes.Repeat([]byte{7}, DirectPage), page...)
	if _, err := f.WriteAt(want[:DirectPage], 0); err != nil {
		t.Fatal(err)
	}
	err = direct.WriteDirect([][]byte{page}, DirectPage)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Logf("not here: %v", err)
		want = want[:DirectPage]
	} else if err != nil {
		t.Fatal(err)
	}
	// Not in whole pages: refused, unless the file system does not mind.
	if err := direct.WriteDirect([][]byte{page[:10]}, 2*DirectPage+1); err == nil {
		want = append(append(want, 0), page[:10]...)
	} else if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("10 bytes: %v", err)
	}
	want = append(want, "end"...)
	if _, err := f.WriteAt([]byte("end"), int64(len(want)-3)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want)+1)
	if n, _ := f.ReadAt(got, 0); !bytes.Equal(got[:n], want) {
		t.Errorf("%d bytes are in the file, not %d, or others", n, len(want))
	}
}
