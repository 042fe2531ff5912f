package plan

import (
	"fmt"
	"strings"
)

// edge is an arrow of the graph; dotted ones carry rejects.
type edge struct {
	from, to string
	dotted   bool
}

// box is a node of the graph. Shape says what it is.
type box struct {
	id, label string
	shape     shape
}

type shape uint8

const (
	aStage shape = iota
	aChannel
	anEnd // ingest or sink
)

// drawing is the graph in a form that every format is written from.
type drawing struct {
	outside []box // ingests and channels
	groups  []group
	edges   []edge
}

// group is a pipeline.
type group struct {
	name  string
	boxes []box
}

func (p *Plan) draw() drawing {
	var d drawing
	for _, n := range p.Ingests {
		if n.Block.Enabled {
			d.outside = append(d.outside, box{n.Address, n.Block.Kind + "\n" + n.Block.Name, anEnd})
			d.edges = append(d.edges, edge{n.Address, "channel." + n.Block.To.Name, false})
		}
	}
	for _, ch := range p.Channels {
		label := "channel\n" + ch.Config.Name
		if ch.Own {
			label = "regrouped\n" + ch.grouping()
		}
		d.outside = append(d.outside, box{"channel." + ch.Config.Name, label, aChannel})
	}
	for _, pl := range p.Pipelines {
		g := group{name: pl.Config.Name}
		for _, n := range pl.Nodes {
			b := box{n.Address, kindOf(n) + "\n" + n.Block.Name, aStage}
			if n.IsSink() {
				b.shape = anEnd
			}
			g.boxes = append(g.boxes, b)
			for _, in := range n.In {
				from := ""
				if in.Node != nil {
					from = in.Node.Address
				} else {
					from = "channel." + in.Channel.Config.Name
				}
				d.edges = append(d.edges, edge{from, n.Address, false})
			}
			if n.Feeds != nil {
				d.edges = append(d.edges, edge{n.Address, "channel." + n.Feeds.Config.Name, false})
			}
		}
		d.groups = append(d.groups, g)
		if pl.Rejects != nil {
			d.edges = append(d.edges, edge{"channel." + pl.Channel.Config.Name, pl.Rejects.Address, true})
		}
	}
	return d
}

func kindOf(n *Node) string {
	if n.Block.Type == "" {
		return n.Block.Kind
	}
	return n.Block.Type + " " + n.Block.Kind
}

// Mermaid draws the plan as a Mermaid flowchart.
func (p *Plan) Mermaid() string {
	d := p.draw()
	var b strings.Builder
	ids := map[string]string{}
	put := func(indent string, x box) {
		ids[x.id] = fmt.Sprintf("n%d", len(ids))
		open, shut := "[", "]"
		switch x.shape {
		case aChannel:
			open, shut = "[(", ")]"
		case anEnd:
			open, shut = "([", "])"
		}
		label := strings.NewReplacer("\n", "<br>", `"`, "#quot;", "<", "#lt;").Replace(x.label)
		fmt.Fprintf(&b, "%s%s%s\"%s\"%s\n", indent, ids[x.id], open, label, shut)
	}
	b.WriteString("flowchart LR\n")
	for _, x := range d.outside {
		put("  ", x)
	}
	for i, g := range d.groups {
		fmt.Fprintf(&b, "  subgraph p%d[\"pipeline %s\"]\n", i, g.name)
		for _, x := range g.boxes {
			put("    ", x)
		}
		b.WriteString("  end\n")
	}
	for _, e := range d.edges {
		arrow := "-->"
		if e.dotted {
			arrow = "-. rejects .->"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", ids[e.from], arrow, ids[e.to])
	}
	return b.String()
}

// Dot draws the plan in Graphviz's language.
func (p *Plan) Dot() string {
	d := p.draw()
	var b strings.Builder
	put := func(indent string, x box) {
		fmt.Fprintf(&b, "%s%q [label=%q, shape=%s];\n", indent, x.id, x.label, [...]string{"box", "cylinder", "oval"}[x.shape])
	}
	b.WriteString("digraph tidemill {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n")
	for _, x := range d.outside {
		put("  ", x)
	}
	for i, g := range d.groups {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%q;\n", i, "pipeline "+g.name)
		for _, x := range g.boxes {
			put("    ", x)
		}
		b.WriteString("  }\n")
	}
	for _, e := range d.edges {
		style := ""
		if e.dotted {
			style = " [style=dotted, label=rejects]"
		}
		fmt.Fprintf(&b, "  %q -> %q%s;\n", e.from, e.to, style)
	}
	b.WriteString("}\n")
	return b.String()
}
