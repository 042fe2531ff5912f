package modules

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/wasm"
)

// GoesOn tells whether a module can go on with the state by key that another leaves: it has that version of
// state, or one that it migrates from. The error says what would happen otherwise.
func (s *Store) GoesOn(digest, from string) error {
	var m [2]*wasm.Manifest
	for i, d := range []string{digest, from} {
		module, err := s.Get(d)
		if err == nil {
			m[i], err = wasm.ReadManifest(module)
		}
		if err != nil {
			return err
		}
	}
	if m[0].State == nil || m[1].State == nil || m[0].State.Version == m[1].State.Version {
		return nil
	}
	for _, old := range m[0].State.From {
		if old.Version == m[1].State.Version {
			return nil
		}
	}
	return fmt.Errorf("%s %s keeps state of version %d, and %s %s has left version %d: rows of such keys would all be rejected. "+
		"Push a version of it that migrates from %d, and roll that out", m[0].Name, m[0].Version, m[0].State.Version, m[1].Name, m[1].Version, m[1].State.Version, m[1].State.Version)
}
