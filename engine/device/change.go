// A change of the registry in a control record:
//
//	+------+--------------------------------------------------+
//	| "D1" | JSON of Change, members in the order of the type  |
//	+------+--------------------------------------------------+
//
// The registry's own channel has a record for each device: JSON of Device.
package device

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of a device.
const (
	MaxID         = 1 << 10
	MaxAttributes = 64
	maxName       = 64
	maxValue      = 1 << 10
	// MaxDevices is how many devices the registry may hold.
	MaxDevices = 1 << 20
	// changeBytes is about how many bytes of devices one change gets; a control record holds 1 MiB.
	changeBytes = 256 << 10
)

const magic = "D1"

// Device is an entry of the registry.
type Device struct {
	ID string `json:"id"`
	// Attributes are texts by name.
	Attributes map[string]string `json:"attributes,omitempty"`
	Gone       bool              `json:"gone,omitempty"`
}

// Check says what is wrong with a device.
func (d *Device) Check() error {
	if d.ID == "" || len(d.ID) > MaxID {
		return fmt.Errorf("an id has 1 to %d bytes; %.64q has %d", MaxID, d.ID, len(d.ID))
	}
	if len(d.Attributes) > MaxAttributes {
		return fmt.Errorf("device %.64q has %d attributes; at most %d are allowed", d.ID, len(d.Attributes), MaxAttributes)
	}
	names := make([]string, 0, len(d.Attributes))
	for name := range d.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !validName(name) {
			return fmt.Errorf("device %.64q: %.64q is no name of an attribute: it has letters, digits and underscores, and no digit in front; at most %d", d.ID, name, maxName)
		}
		if len(d.Attributes[name]) > maxValue {
			return fmt.Errorf("device %.64q: %s has %d bytes; at most %d are allowed", d.ID, name, len(d.Attributes[name]), maxValue)
		}
	}
	return nil
}

func validName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return s != "" && len(s) <= maxName && strings.Trim(s, letters+"0123456789") == "" && strings.ContainsRune(letters, rune(s[0]))
}

// Change is what changes in the registry.
type Change struct {
	Version uint64 `json:"version"` // of the registry afterwards
	// Reset begins a change that says all there is, in several records perhaps; More says that the
	// next record belongs to it.
	Reset   bool     `json:"reset,omitempty"`
	More    bool     `json:"more,omitempty"`
	Devices []Device `json:"devices"`
}

// Encode writes a control record.
func (c *Change) Encode() []byte {
	text, err := json.Marshal(c)
	if err != nil {
		panic("BUG: a change is no JSON: " + err.Error())
	}
	return append([]byte(magic), text...)
}

// IsChange tells whether a control record's body is a change.
func IsChange(body []byte) bool { return bytes.HasPrefix(body, []byte(magic)) }

// ParseChange reads a control record and checks it.
func ParseChange(body []byte) (*Change, error) {
	if !IsChange(body) {
		return nil, errors.New("device: this is no change of the registry")
	}
	in := json.NewDecoder(bytes.NewReader(body[len(magic):]))
	in.DisallowUnknownFields()
	c := &Change{}
	if err := in.Decode(c); err != nil {
		return nil, fmt.Errorf("device: the change cannot be read: %w", err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, errors.New("device: something stands behind the change")
	}
	for i := range c.Devices {
		if err := c.Devices[i].Check(); err != nil {
			return nil, fmt.Errorf("device: %w", err)
		}
	}
	return c, nil
}

// Changes makes control records that say of devices what they are now.
func Changes(devices []Device, version uint64, reset bool) [][]byte {
	var out [][]byte
	for from := 0; from == 0 || from < len(devices); {
		to, size := from, 0
		for to < len(devices) && size < changeBytes {
			size += devices[to].size()
			to++
		}
		c := Change{Version: version, Reset: reset && from == 0, More: to < len(devices), Devices: devices[from:to]}
		out = append(out, c.Encode())
		if from = to; to == 0 {
			break
		}
	}
	return out
}

func (d *Device) size() int {
	n := len(d.ID) + 32
	for name, value := range d.Attributes {
		n += len(name) + 2*len(value) + 8
	}
	return n
}
