package modules

import (
	"crypto/ed25519"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/wasm"
)

// over is a module as its compiler made it, and with its manifest.
func over(t *testing.T) (code, module []byte) {
	code, err := os.ReadFile("../wasm/testdata/over.wasm")
	must(t, err)
	manifest, err := os.ReadFile("../wasm/testdata/over.json")
	must(t, err)
	module, err = wasm.Attach(code, manifest)
	must(t, err)
	return code, module
}

// TestStore: what is pushed is found by its digest; what is damaged or wrongly signed is refused.
func TestStore(t *testing.T) {
	e := env.NewSim(1).Env()
	s := Open(e, "/data")
	code, module := over(t)
	digest, m, err := s.Put(module)
	must(t, err)
	if m.Name != "over" {
		t.Errorf("name %s", m.Name)
	}
	if _, _, err := s.Put(code); err == nil {
		t.Error("a module without a manifest was taken")
	}
	for _, text := range []string{digest, digest[7:15], "over", "over@1.0.0"} {
		if found, err := s.Find(text); err != nil || found != digest {
			t.Errorf("%s: %s, %v", text, found, err)
		}
	}
	if _, err := s.Get("sha256:" + strings.Repeat("0", 64)); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown module: %v", err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	must(t, s.Sign(digest, []byte(Signature(digest, key))))
	if err := s.Sign(digest, []byte(Signature("sha256:"+strings.Repeat("0", 64), key))); err == nil {
		t.Error("a signature of another module was taken")
	}
	list, err := s.List()
	must(t, err)
	if len(list) != 1 || len(list[0].Signers) != 1 || list[0].Problem != "" {
		t.Errorf("%+v", list)
	}
	f, err := e.FS.Open("/data/plugins/modules/"+digest[7:]+".wasm", env.ReadWrite)
	must(t, err)
	_, err = f.WriteAt([]byte{1}, 100)
	must(t, errors.Join(err, f.Close()))
	if _, err := s.Get(digest); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged module: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPutAgain: a module that was put, and did not become durable, is so when it is put again.
func TestPutAgain(t *testing.T) {
	_, module := over(t)
	for seed := range uint64(20) {
		machine := env.NewSim(seed)
		s := Open(machine.Env(), "/data")
		machine.Fail(env.Fault{Op: env.OpSyncDir, Err: syscall.EIO})
		if _, _, err := s.Put(module); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		digest, _, err := s.Put(module)
		must(t, err)
		machine.Crash(seed)
		if _, err := s.Get(digest); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
