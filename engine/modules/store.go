package modules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/wasm"
)

// Store is the folder of modules. Safe for concurrent use: files appear whole, and
// two that write one digest write the same bytes.
type Store struct {
	fs  env.FS
	dir string
}

// Entry is a module of the store.
type Entry struct {
	Digest   string         `json:"digest"`
	Bytes    int            `json:"bytes"`
	Manifest *wasm.Manifest `json:"manifest,omitempty"`
	Signers  []string       `json:"signers,omitempty"` // public keys, base64
	// Problem says why the file cannot be used; then the manifest is missing.
	Problem string `json:"problem,omitempty"`
}

// ErrUnknown is wrapped when the store lacks a module.
var ErrUnknown = errors.New("the store has no such module")

// Open returns the store in an engine's data folder. It makes nothing yet.
func Open(e *env.Env, data string) *Store {
	return &Store{fs: e.FS, dir: path.Join(data, "plugins", "modules")}
}

// Put verifies a module's manifest and keeps it. It returns its digest.
func (s *Store) Put(module []byte) (digest string, m *wasm.Manifest, err error) {
	if len(module) > wasm.MaxModuleBytes {
		return "", nil, fmt.Errorf("the module has %d bytes; at most %d are allowed", len(module), wasm.MaxModuleBytes)
	}
	if m, err = wasm.ReadManifest(module); err != nil {
		return "", nil, err
	}
	digest = wasm.Digest(module)
	if have, err := s.Get(digest); err == nil && bytes.Equal(have, module) {
		return digest, m, s.fs.SyncDir(s.dir) // who put it may have died before it was durable
	}
	return digest, m, s.write(file(digest, ".wasm"), module)
}

// Get returns the module of a digest.
func (s *Store) Get(digest string) ([]byte, error) {
	if !valid(digest) {
		return nil, fmt.Errorf("%q is no digest: it takes sha256: and 64 hex digits", digest)
	}
	module, err := s.read(file(digest, ".wasm"), wasm.MaxModuleBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", digest, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	if is := wasm.Digest(module); is != digest {
		return nil, fmt.Errorf("%s is damaged: its content has the digest %s; push it again", path.Join(s.dir, file(digest, ".wasm")), is)
	}
	return module, nil
}

// Find completes the beginning of a digest, with or without "sha256:", or finds the name of a plugin
// of which the store has one module.
func (s *Store) Find(text string) (digest string, err error) {
	list, err := s.List()
	if err != nil {
		return "", err
	}
	var found []string
	want := strings.TrimPrefix(text, "sha256:")
	for _, e := range list {
		hex := strings.TrimPrefix(e.Digest, "sha256:")
		if len(want) >= 4 && strings.HasPrefix(hex, want) || e.Manifest != nil && (e.Manifest.Name == text || e.Manifest.Name+"@"+e.Manifest.Version == text) {
			found = append(found, e.Digest)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s: %w; tidemill plugin ls lists them, tidemill plugin push adds one", text, ErrUnknown)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s names %d modules: %s; write more of the digest, or name@version", text, len(found), strings.Join(found, ", "))
}

// List lists the modules, in order of digest.
func (s *Store) List() ([]Entry, error) {
	files, err := s.fs.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, f := range files {
		hex, ok := strings.CutSuffix(f.Name(), ".wasm")
		if digest := "sha256:" + hex; ok && valid(digest) {
			out = append(out, s.entry(digest))
		}
	}
	return out, nil
}

func (s *Store) entry(digest string) Entry {
	e := Entry{Digest: digest}
	module, err := s.Get(digest)
	e.Bytes = len(module)
	if err == nil {
		e.Manifest, err = wasm.ReadManifest(module)
	}
	if err == nil {
		e.Signers, err = s.Signers(digest)
	}
	if err != nil {
		e.Problem, e.Manifest = err.Error(), nil
	}
	return e
}

func valid(digest string) bool {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

func file(digest, suffix string) string { return strings.TrimPrefix(digest, "sha256:") + suffix }

func (s *Store) read(name string, most int64) ([]byte, error) {
	f, err := s.fs.Open(path.Join(s.dir, name), env.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, most+1))
	if err = errors.Join(err, f.Close()); err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return b, err
}

func (s *Store) write(name string, content []byte) error {
	if err := s.fs.MkdirAll(s.dir); err != nil {
		return err
	}
	return env.WriteWhole(s.fs, path.Join(s.dir, name), content)
}
