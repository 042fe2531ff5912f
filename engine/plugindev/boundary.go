package plugindev

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/sdk"
)

// BoundaryName is the plugin that Boundary builds.
const BoundaryName = "boundary"

// Boundary builds the plugin that costs hardly more than the crossing: four numbers in and one out, over = (temp -
// setpoint) * gain + offset, whole columns at once, in one of Languages.
func Boundary(ctx context.Context, e *env.Env, language string) (module []byte, err error) {
	work, err := os.MkdirTemp("", "tidemill-boundary-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	dir := filepath.Join(work, BoundaryName)
	if _, err := New(dir, language); err != nil {
		return nil, err
	}
	source := BoundaryName + map[string]string{"go": ".go", "rust": ".rs", "c": ".c", "assemblyscript": ".ts"}[language]
	for _, name := range []string{source, FileName} {
		from := "boundary/" + name
		if name == FileName || language == "go" {
			from += ".txt"
		}
		text, err := sdk.Boundary.ReadFile(from)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(string(text), "LANGUAGE", language)), 0o644); err != nil {
			return nil, err
		}
	}
	p, diags := ReadProject(e, dir)
	if diags.HasErrors() {
		panic("BUG: the plugin to measure with is not right: " + diags.Error())
	}
	return p.Build(ctx)
}

// BoundaryRows are rows for it, without nulls.
func BoundaryRows(n int) *Rows {
	rows := &Rows{Columns: make([][]any, 4)}
	for i := range n {
		rows.Keys = append(rows.Keys, "t")
		for c := range rows.Columns {
			rows.Columns[c] = append(rows.Columns[c], float64(i%977)+float64(c)*0.375)
		}
	}
	return rows
}

// Messenger is the same plugin, in C, as others call one: a message in JSON at a time. There is no metering.
type Messenger struct {
	runtime wazero.Runtime
	memory  api.Memory
	run     api.Function
	at      uint32
	stack   [1]uint64
}

// NewMessenger makes one of what Boundary built in C. The caller closes it.
func NewMessenger(ctx context.Context, module []byte) (*Messenger, error) {
	m := &Messenger{runtime: wazero.NewRuntime(ctx)}
	guest, err := m.runtime.Instantiate(ctx, module)
	if err != nil {
		m.Close(ctx)
		return nil, err
	}
	m.memory, m.run = guest.Memory(), guest.ExportedFunction("message_run")
	at, err := guest.ExportedFunction("message_at").Call(ctx)
	if err != nil {
		m.Close(ctx)
		return nil, err
	}
	m.at = uint32(at[0])
	return m, nil
}

// Close ends it.
func (m *Messenger) Close(ctx context.Context) { _ = m.runtime.Close(ctx) } // nothing is left that could fail

// Message hands a message over and appends the answer to to.
func (m *Messenger) Message(ctx context.Context, message, to []byte) ([]byte, error) {
	if !m.memory.Write(m.at, message) {
		return nil, fmt.Errorf("a message of %d bytes does not fit", len(message))
	}
	m.stack[0] = uint64(len(message))
	if err := m.run.CallWithStack(ctx, m.stack[:]); err != nil {
		return nil, err
	}
	answer, ok := m.memory.Read(m.at, uint32(m.stack[0]))
	if !ok {
		return nil, fmt.Errorf("an answer of %d bytes is not there", m.stack[0])
	}
	return append(to, answer...), nil
}
