package modules

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxSignatures limits the file of a module's signatures, bytes.
const maxSignatures = 64 << 10

// Signature is the line that signs a digest with a private key.
func Signature(digest string, key ed25519.PrivateKey) string {
	b64 := base64.StdEncoding
	return "ed25519 " + b64.EncodeToString(key.Public().(ed25519.PublicKey)) + " " + b64.EncodeToString(ed25519.Sign(key, []byte(digest)))
}

// Verify lists the public keys, base64, whose signatures of a digest stand in text, a line each. A line
// that signs something else is an error.
func Verify(digest string, text []byte) (keys []string, err error) {
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 || words[0] != "ed25519" {
			return nil, fmt.Errorf("line %d is no signature: it takes ed25519, a public key and a signature, base64", i+1)
		}
		key, err := PublicKey(words[1])
		if err != nil {
			return nil, fmt.Errorf("line %d is no signature: %w", i+1, err)
		}
		sig, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			return nil, fmt.Errorf("line %d is no signature: what stands behind the key is not base64", i+1)
		}
		if !ed25519.Verify(key, []byte(digest), sig) {
			return nil, fmt.Errorf("line %d signs another module than %s", i+1, digest)
		}
		if !slices.Contains(keys, words[1]) {
			keys = append(keys, words[1])
		}
	}
	return keys, nil
}

// PublicKey reads a public key, base64.
func PublicKey(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("a public key has %d bytes, written in base64", ed25519.PublicKeySize)
	}
	return key, nil
}

// AddLines adds the lines of text that are not there yet.
func AddLines(have []byte, text string) []byte {
	lines := strings.Split(string(have), "\n")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
	return []byte(strings.Join(lines, "\n") + "\n")
}

// Sign keeps signatures of a module beside it. Those that do not sign it are refused.
func (s *Store) Sign(digest string, text []byte) error {
	if _, err := Verify(digest, text); err != nil {
		return err
	}
	have, err := s.Signatures(digest)
	if err != nil {
		return err
	}
	all := AddLines(have, string(text))
	if len(all) > maxSignatures {
		return fmt.Errorf("the signatures of a module may have %d bytes together", maxSignatures)
	}
	return s.write(file(digest, ".sig"), all)
}

// Signatures are the signatures of a module as text; empty where there are none.
func (s *Store) Signatures(digest string) ([]byte, error) {
	if !valid(digest) {
		return nil, nil
	}
	text, err := s.read(file(digest, ".sig"), maxSignatures)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Signers lists the keys that have signed a module of the store.
func (s *Store) Signers(digest string) ([]string, error) {
	text, err := s.Signatures(digest)
	if err != nil {
		return nil, err
	}
	keys, err := Verify(digest, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(s.dir, file(digest, ".sig")), err)
	}
	return keys, nil
}
