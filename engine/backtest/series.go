package backtest

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/flow"
)

// Series is the history of one key.
type Series struct {
	Key    string
	Times  []int64     // microseconds since 1970, rising
	Values [][]float64 // a row each: a value a signal, NaN where there is none
	Labels []Label     // sorted
	Seed   uint64      // of its models
	Live   []float64   // scores that its pipeline gave itself; nil of a CSV
}

// Label is a stretch of time, both ends in it, microseconds.
type Label struct{ From, To int64 }

// Columns says where in a CSV file things stand.
type Columns struct {
	Time, Key string     // Key "": all rows are of one
	On        []string   // the signals
	Kept      []Argument // of the stage that was tried, for a proposal; none of a CSV
}

// maxRows limits what is held in memory.
const maxRows = 20_000_000

// ReadCSV reads history: a header, then a row a line. Rows of a key may come in any
// order. A value that is empty or no number is missing.
func ReadCSV(in io.Reader, c Columns) ([]*Series, error) {
	r := csv.NewReader(in)
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("it has no header: %w", err)
	}
	head = slices.Clone(head)
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // a byte order mark, which spreadsheets write
	find := func(name string) (int, error) {
		if i := slices.Index(head, name); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("it has no column %q; there are %s", name, strings.Join(head, ", "))
	}
	at, errTime := find(c.Time)
	key := -1
	var errs []error
	if c.Key != "" {
		var err error
		key, err = find(c.Key)
		errs = append(errs, err)
	}
	on := make([]int, len(c.On))
	for i, name := range c.On {
		var err error
		on[i], err = find(name)
		errs = append(errs, err)
	}
	if err := errors.Join(append(errs, errTime)...); err != nil {
		return nil, err
	}
	byKey, all := map[string]*Series{}, []*Series{}
	for line := 2; ; line++ {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if line > maxRows {
			return nil, fmt.Errorf("it has more than %d rows", maxRows)
		}
		s, err := addRow(byKey, row, at, key, on)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if s != nil {
			all = append(all, s)
		}
	}
	for i, name := range c.On {
		if !slices.ContainsFunc(all, func(s *Series) bool { return s.hasNumber(i) }) && len(all) > 0 {
			return nil, fmt.Errorf("column %q has no number in it", name)
		}
	}
	for _, s := range all {
		s.sort()
	}
	return all, nil
}

// hasNumber tells whether signal i has any value.
func (s *Series) hasNumber(i int) bool {
	return slices.ContainsFunc(s.Values, func(row []float64) bool { return !math.IsNaN(row[i]) })
}

// addRow puts a row to its series, which is returned when it is new.
func addRow(byKey map[string]*Series, row []string, at, key int, on []int) (fresh *Series, err error) {
	if len(row) <= max(at, key, slices.Max(on)) {
		return nil, fmt.Errorf("it has %d columns, too few", len(row))
	}
	t, err := ParseTime(row[at])
	if err != nil {
		return nil, err
	}
	name := ""
	if key >= 0 {
		name = row[key]
	}
	s := byKey[name]
	if s == nil {
		s = &Series{Key: strings.Clone(name), Seed: flow.Hash([]byte(name))}
		byKey[s.Key], fresh = s, s
	}
	values := make([]float64, len(on))
	for i, k := range on {
		v, err := strconv.ParseFloat(strings.TrimSpace(row[k]), 64)
		if err != nil {
			v = math.NaN()
		}
		values[i] = v
	}
	s.Times, s.Values = append(s.Times, t), append(s.Values, values)
	return fresh, nil
}

func (s *Series) sort() {
	order := make([]int, len(s.Times))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int {
		if s.Times[i] < s.Times[k] {
			return -1
		} else if s.Times[i] > s.Times[k] {
			return 1
		}
		return 0
	})
	times, values := make([]int64, len(order)), make([][]float64, len(order))
	for to, from := range order {
		times[to], values[to] = s.Times[from], s.Values[from]
	}
	s.Times, s.Values = times, values
}

// ParseTime reads a time, as microseconds since 1970: one that flow.ParseTime takes, one whose hour has one digit, as spreadsheets write it,
// or a number of seconds, milliseconds or microseconds since 1970, told apart by size.
func ParseTime(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if us, ok := flow.ParseTime([]byte(text)); ok {
		return us, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMicro(), nil
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(v) || math.Abs(v) > 1e17:
		return 0, fmt.Errorf("%q is no time; write 2026-03-01T06:00:00Z, 2026-03-01 06:00:00 or seconds since 1970", text)
	case math.Abs(v) < 1e11:
		return int64(math.Round(v * 1e6)), nil
	case math.Abs(v) < 1e14:
		return int64(math.Round(v * 1e3)), nil
	}
	return int64(v), nil
}

// ReadLabels reads labels into the series that they belong to. name is that of
// the file that the series are from; without a name, labels of one name alone are those of a series
// without a key. It returns how many found their place.
func ReadLabels(in io.Reader, name string, all []*Series) (int, error) {
	data, err := io.ReadAll(io.LimitReader(in, 64<<20))
	if err != nil {
		return 0, err
	}
	byName := map[string][][2]string{}
	if text := strings.TrimSpace(string(data)); strings.HasPrefix(text, "{") {
		if err := json.Unmarshal(data, &byName); err != nil {
			return 0, fmt.Errorf("it is not an object of lists of [from, to]: %w", err)
		}
	} else if err := labelRows(text, byName); err != nil {
		return 0, err
	}
	n := 0
	for _, s := range all {
		for key, list := range byName {
			if key != s.Key && !(s.Key == "" && (key == "" || key == name || name == "" && len(byName) == 1 || strings.HasSuffix(key, "/"+name))) {
				continue
			}
			for _, pair := range list {
				from, err := ParseTime(pair[0])
				to, err2 := ParseTime(pair[1])
				if err := errors.Join(err, err2); err != nil {
					return 0, err
				}
				s.Labels = append(s.Labels, Label{from, to})
				n++
			}
		}
		slices.SortFunc(s.Labels, func(a, b Label) int { return int(max(min(a.From-b.From, 1), -1)) })
	}
	return n, nil
}

func labelRows(text string, byName map[string][][2]string) error {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		return errors.Join(errors.New("it is neither JSON nor CSV"), err)
	}
	from, to, key := slices.Index(rows[0], "from"), slices.Index(rows[0], "to"), slices.Index(rows[0], "key")
	if from < 0 || to < 0 {
		return fmt.Errorf("its columns are %s; labels have from and to, and key where there are several", strings.Join(rows[0], ", "))
	}
	for _, r := range rows[1:] {
		name := ""
		if key >= 0 {
			name = r[key]
		}
		byName[name] = append(byName[name], [2]string{r[from], r[to]})
	}
	return nil
}
