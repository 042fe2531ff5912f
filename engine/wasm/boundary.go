package wasm

import "errors"

// Alone lays a batch out once and returns a function that calls the guest over it, and does nothing else: what
// a call takes beside that is the price of the boundary. It is for measuring; nothing comes out, and state is not
// kept. The batch must be one that the guest takes whole.
func (r *Runner) Alone(in Input) (func() error, error) {
	if r.instance == nil || r.states.table != nil {
		return nil, errors.New("a plugin that keeps state is measured whole only")
	}
	r.in = in
	r.takeColumns(0, in.Rows)
	_, batch, err := r.layBatch(r.instance, in.Rows)
	r.in = Input{}
	if err != nil {
		return nil, err
	}
	return func() error {
		r.instance.begin(r.plugin.Limits.FuelPerRow)
		at, err := r.instance.call(r.instance.run, batch)
		if err == nil && at == 0 {
			err = errors.New("tidemill_run returned 0")
		}
		return err
	}, nil
}
