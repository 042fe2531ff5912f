// Package stages lists the stages that are built in.
//
// Imports: stage, stages/ingestfile, stages/rule, stages/sinkfile
//
// Not here: the stages themselves, each in a folder of its own.
package stages

import (
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/ingestfile"
	"github.com/tidemill/tidemill/engine/stages/rule"
	"github.com/tidemill/tidemill/engine/stages/sinkfile"
)

// Builtin returns the stages that are built in, sorted by kind and type.
func Builtin() []stage.Spec {
	return []stage.Spec{
		ingestfile.Spec(),
		rule.Spec(),
		sinkfile.File(),
		sinkfile.Stdout(),
	}
}
