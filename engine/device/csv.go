package device

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadCSV reads devices from CSV (RFC 4180) with a header: the column id, or the first one, is the id, the others are
// attributes. An empty cell takes the attribute away. Errors name the line.
func ReadCSV(in io.Reader) ([]Device, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the file has no header such as id,site,model: %w", err)
	}
	names := make([]string, len(head))
	id := 0
	for i, name := range head {
		names[i] = strings.TrimPrefix(strings.TrimSpace(name), "\ufeff")
		if names[i] == "id" {
			id = i
		}
	}
	for i, name := range names {
		if i != id && !validName(name) {
			return nil, fmt.Errorf("line 1: %.64q is no name of an attribute: letters, digits and underscores, and no digit in front", name)
		}
	}
	var out []Device
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		d := Device{ID: strings.Clone(cells[id]), Attributes: map[string]string{}}
		for i, cell := range cells {
			if i != id {
				d.Attributes[names[i]] = strings.Clone(cell)
			}
		}
		if err := d.Check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if out = append(out, d); len(out) > MaxDevices {
			return nil, fmt.Errorf("line %d: the registry holds at most %d devices", line, MaxDevices)
		}
	}
}
