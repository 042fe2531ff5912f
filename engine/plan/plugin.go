package plan

import (
	"fmt"
	"io"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
)

// writePlugin adds to a node's digest what the plugin that it names is: another
// module under the same name, or another limit, makes another node.
func (p *Plan) writePlugin(h io.Writer, body hcl.Body) {
	attrs, _ := body.JustAttributes()
	a := attrs["plugin"]
	if a == nil {
		return
	}
	if x := config.FindPlugin(p.Config.Plugins, a.Expr); x != nil {
		fmt.Fprintf(h, "plugin %s %d %d %d %d %d %q %#v\n", x.Digest, x.FuelPerRow, x.Memory, x.Deadline, x.LogLimit, x.HostCalls, x.Grants, x.Config)
	}
}
