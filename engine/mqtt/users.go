package mqtt

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Users is a list of user names and password hashes. Safe for concurrent use.
//
//	# a comment
//	truck-17:$2y$10$...                            bcrypt, as htpasswd -B writes it
//	truck-18:$argon2id$v=19$m=65536,t=3,p=4$..$..  argon2id
//
// A hash is slow on purpose, and a fleet that comes back has thousands to check, so what has been checked
// is remembered, as a keyed digest whose key dies with the process.
type Users struct {
	hashes map[string]string
	key    [32]byte

	mu      sync.Mutex
	checked map[string][sha256.Size]byte
}

// Limits on what a line of a users file may make the server do.
const (
	maxArgonMemory = 256 << 10 // KiB
	maxArgonTime   = 20
	maxBcryptCost  = 14
)

// ParseUsers reads a users file. The error says the line.
func ParseUsers(text string) (*Users, error) {
	u := &Users{hashes: map[string]string{}, checked: map[string][sha256.Size]byte{}}
	rand.Read(u.key[:])
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("line %d: a user is name:hash", number)
		}
		if _, twice := u.hashes[name]; twice {
			return nil, fmt.Errorf("line %d: the user %s stands there twice", number, name)
		}
		if err := checkHash(hash); err != nil {
			return nil, fmt.Errorf("line %d, user %s: %w", number, name, err)
		}
		u.hashes[name] = hash
	}
	return u, nil
}

func checkHash(hash string) error {
	if strings.HasPrefix(hash, "$argon2id$") {
		_, err := parseArgon(hash)
		return err
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return fmt.Errorf("neither a bcrypt hash ($2y$...) nor an argon2id hash ($argon2id$...); a plain password must not stand here")
	}
	if cost > maxBcryptCost {
		return fmt.Errorf("bcrypt with cost %d would take seconds a login; at most %d", cost, maxBcryptCost)
	}
	return nil
}

// Same says whether a user is in both lists with the same hash.
func (u *Users) Same(other *Users, name string) bool {
	hash, known := u.hashes[name]
	return known && other.hashes[name] == hash
}

// Check says whether a password is the user's. It computes for about 50 ms the first time.
func (u *Users) Check(name string, password []byte) bool {
	hash, known := u.hashes[name]
	if !known {
		// As long as for a user that there is, so that names cannot be guessed by the clock.
		bcrypt.CompareHashAndPassword([]byte("$2a$10$7EqJtq98hPqEX7fNZaFWoOhi5BhM4KYdrqBMWl9Zgx6pXRkIEV2E6"), password)
		return false
	}
	mac := hmac.New(sha256.New, u.key[:])
	mac.Write([]byte(name + "\x00"))
	mac.Write(password)
	digest := [sha256.Size]byte(mac.Sum(nil))
	u.mu.Lock()
	seen, ok := u.checked[name]
	u.mu.Unlock()
	if ok && subtle.ConstantTimeCompare(seen[:], digest[:]) == 1 {
		return true
	}
	if !matches(hash, password) {
		return false
	}
	u.mu.Lock()
	u.checked[name] = digest
	u.mu.Unlock()
	return true
}

func matches(hash string, password []byte) bool {
	if !strings.HasPrefix(hash, "$argon2id$") {
		return bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
	}
	a, err := parseArgon(hash)
	if err != nil {
		panic("BUG: a hash that was checked is none")
	}
	got := argon2.IDKey(password, a.salt, a.time, a.memory, a.threads, uint32(len(a.sum)))
	return subtle.ConstantTimeCompare(got, a.sum) == 1
}

type argon struct {
	time, memory uint32
	threads      uint8
	salt, sum    []byte
}

// parseArgon reads $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func parseArgon(hash string) (argon, error) {
	var a argon
	bad := fmt.Errorf("not an argon2id hash such as $argon2id$v=19$m=65536,t=3,p=4$salt$hash")
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return a, bad
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads); err != nil {
		return a, bad
	}
	var err, err2 error
	a.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	a.sum, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case err != nil || err2 != nil || len(a.sum) < 16 || len(a.sum) > 64 || len(a.salt) < 8 || a.time < 1 || a.threads < 1:
		return a, bad
	case a.memory > maxArgonMemory || a.time > maxArgonTime:
		return a, fmt.Errorf("m=%d,t=%d would take seconds a login; at most m=%d,t=%d", a.memory, a.time, maxArgonMemory, maxArgonTime)
	}
	return a, nil
}
