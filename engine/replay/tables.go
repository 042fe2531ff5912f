package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages/enrich"
)

// dataDir is the data folder on the simulated machine.
const dataDir = "/data"

// behind is the files of the simulated machine, and behind them, to be read, those of the real one: tables that
// rows are enriched from, and the versions of them that stand in history's data folder.
type behind struct {
	env.FS
	real env.FS
	data string // history's
}

// Open opens a file of the machine or, where it has none of the name, a real one.
func (b behind) Open(name string, flag env.Flag) (env.File, error) {
	f, err := b.FS.Open(name, flag)
	if flag != env.ReadOnly || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if rest, is := strings.CutPrefix(name, dataDir+"/"); is {
		if !strings.HasPrefix(rest, "enrich/") {
			return nil, err
		}
		name = path.Join(b.data, rest)
	}
	return b.real.Open(name, env.ReadOnly)
}

// world is the machine as the engine sees it.
func (r *Replay) world() *env.Env {
	e := *r.machine.Env()
	e.FS = behind{e.FS, r.o.Env.FS, r.o.Data}
	return &e
}

// openTables brings the stages that look outside to what they saw there then.
func (r *Replay) openTables(p *plan.Plan) error {
	from := int64(0)
	if !r.o.From.IsZero() {
		from = r.o.From.Add(-r.o.Warm).UnixMicro()
	}
	machine := r.machine.Env().FS
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.Block.Kind != "enrich" || n.Home == nil {
				continue
			}
			for part := range n.Home.Config.Partitions {
				log, err := enrich.Past(r.o.Env, r.o.Data, n.Address, part, from)
				if err != nil {
					return fmt.Errorf("%s: %w", n.Address, err)
				}
				if log == nil {
					if r.o.Report != nil {
						r.o.Report(fmt.Sprintf("%s: no version of its table is kept in %s: it is taken as it is now, which need not be what it was", n.Address, r.o.Data))
					}
					break
				}
				folder := enrich.Folder(dataDir, n.Address, part)
				if err := machine.MkdirAll(folder); err != nil {
					return err
				}
				if err := env.WriteWhole(machine, path.Join(folder, "versions"), log); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
