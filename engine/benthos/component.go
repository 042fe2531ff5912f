package benthos

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// Component is an input or an output that runs.
type Component struct {
	kind      Kind
	resources *service.Resources
	end       func(context.Context) error
}

// ErrEnd says that an input has come to its end.
var ErrEnd = errors.New("the input has come to its end")

func noVariables(context.Context, string) (string, bool) { return "", false }

// Open starts a component that Parse has checked. report takes what it complains about, from any
// goroutine.
func Open(text string, kind Kind, report func(line string)) (*Component, error) {
	b := service.NewResourceBuilder()
	b.SetEnvVarLookupFunc(noVariables)
	b.SetLogger(slog.New(&complaints{report: report}))
	var err error
	if kind == Input {
		err = b.AddInputYAML(text)
	} else {
		err = b.AddOutputYAML(text)
	}
	if err != nil {
		return nil, err
	}
	c := &Component{kind: kind}
	if c.resources, c.end, err = b.Build(); err != nil {
		return nil, err
	}
	return c, nil
}

// Read waits for messages. ack is called once, with nil when they are safe; it may
// wait. ErrEnd: there are no more.
func (c *Component) Read(ctx context.Context) (payloads [][]byte, ack func(context.Context, error) error, err error) {
	var batch service.MessageBatch
	var done service.AckFunc
	accessed := c.resources.AccessInput(ctx, label, func(i *service.ResourceInput) { batch, done, err = i.ReadBatch(ctx) })
	if err = errors.Join(accessed, err); err != nil {
		if errors.Is(err, service.ErrEndOfInput) {
			err = ErrEnd
		}
		return nil, nil, err
	}
	for _, m := range batch {
		b, err := m.AsBytes()
		if err != nil {
			return nil, nil, errors.Join(err, done(ctx, err))
		}
		payloads = append(payloads, b)
	}
	return payloads, done, nil
}

// Write sends messages as one batch and waits until the output has taken them. It may wait beyond ctx.
func (c *Component) Write(ctx context.Context, payloads [][]byte) (err error) {
	batch := make(service.MessageBatch, len(payloads))
	for i, p := range payloads {
		batch[i] = service.NewMessage(p)
	}
	accessed := c.resources.AccessOutput(ctx, label, func(o *service.ResourceOutput) { err = o.WriteBatch(ctx, batch) })
	return errors.Join(accessed, err)
}

// Close ends it, or gives up when ctx ends. What is on its way has until polite ends: Benthos waits for
// acknowledgements at first, and when it is asked a second time it does not.
func (c *Component) Close(polite, ctx context.Context) error {
	if c.end(polite) == nil {
		return nil
	}
	return c.end(ctx)
}

// complaints is a log of which warnings and errors are told.
type complaints struct {
	report func(line string)
}

func (c *complaints) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	c.report(strings.TrimSpace(r.Message))
	return nil
}

func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *complaints) WithGroup(string) slog.Handler      { return c }
