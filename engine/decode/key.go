package decode

// KeyFinder finds the key in a payload before it is decoded, so that a record
// goes to its partition with one look. Not safe for concurrent use.
type KeyFinder interface {
	// Hash returns a hash (flow.Hash) of the value at the finder's path, equal for
	// equal decoded values (7 and 7.0; "a" and "\u0061"); false when there is
	// none, it is null, or the payload is not JSON as far as was looked.
	Hash(payload []byte) (hash uint64, ok bool)
}

// NewKeyFinder returns a finder of the dotted path in JSON payloads. A key that
// comes first costs least; what the finder returns depends on the payload alone.
func NewKeyFinder(path string) KeyFinder { return newKeyFinder(path) }
