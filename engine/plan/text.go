package plan

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Text writes an explanation for a person.
func (x *Explanation) Text(w io.Writer) error {
	var b strings.Builder
	for i := range x.Channels {
		x.Channels[i].text(&b, x.Ingests)
	}
	for i := range x.Pipelines {
		x.Pipelines[i].text(&b)
	}
	fmt.Fprintf(&b, "Memory\n")
	fmt.Fprintf(&b, "  state   about %s, with as many entries as are counted with above\n", Bytes(x.Memory.State))
	fmt.Fprintf(&b, "  queues  at most about %s, when every sink lags\n", Bytes(x.Memory.Queues))
	fmt.Fprintf(&b, "\nThe whole promises: %s.\n", x.Promise.Summary)
	for _, why := range x.Promise.Why {
		fmt.Fprintf(&b, "  - %s\n", why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *ChannelPlan) text(b *strings.Builder, ingests []IngestPlan) {
	fmt.Fprintf(b, "Channel %s\n", c.Name)
	if c.Regrouped {
		what := "rows"
		if strings.Contains(c.Name, partsSuffix) {
			what = "parts of results"
		}
		wrapped(b, "is", "the engine's own: it brings "+what+" together that were in different partitions")
	}
	line := func(name, value string) { wrapped(b, name, value) }
	from := []string{}
	for _, in := range ingests {
		if in.To != "channel."+c.Name {
			continue
		}
		s := fmt.Sprintf("%s (%s)", in.Address, in.Type)
		if !in.Enabled {
			s += ", switched off"
		}
		from = append(from, s)
	}
	line("fed by", orNothing(strings.Join(append(from, c.FedBy...), ", ")))
	tasks := fmt.Sprintf("%d, one a partition", c.Partitions)
	if c.Key != "" {
		tasks += ", by " + c.Key
	}
	line("tasks", tasks)
	line("time", c.Time)
	line("kept", c.Retention)
	if c.Revises {
		line("late", "revised rows come too")
	}
	if c.Explode != "" {
		line("explode", c.Explode+": a row for each of its members")
	}
	if c.Decode != "" {
		line("decode", c.Decode+" makes rows of payloads")
	}
	read, unread := []string{}, []string{}
	for _, f := range c.Fields {
		if f.Decoded {
			read = append(read, f.Name+glue+f.Type)
		} else {
			unread = append(unread, f.Name)
		}
	}
	line("fields", orNothing(strings.Join(read, ", ")))
	if len(unread) > 0 {
		line("unread", strings.Join(unread, ", ")+"  (checked, not decoded: nobody reads them)")
	}
	if c.Learns {
		line("learns", "other fields as they come")
	}
	line("state", c.Keys.text()+": the watermark of each key")
	if c.Figures != nil {
		line("figures", c.Figures.text()+": when each key was last seen, records, rejects and skew")
	}
	if d := c.Dedupe; d != nil {
		line("dedupe", fmt.Sprintf("by %s within %s: at most %d rows of a partition are remembered, %s", strings.Join(d.Key, ", "), d.Within, d.Seen.Most, d.Seen.text()))
	}
	if c.Clock != nil {
		line("clock", c.Clock.text())
	}
	b.WriteByte('\n')
}

func (t TablePlan) text() string {
	return fmt.Sprintf("%s for %s", Bytes(t.Bytes), plural(t.Entries, "entry", "entries"))
}

func (p *PipelinePlan) text(b *strings.Builder) {
	fmt.Fprintf(b, "Pipeline %s, reads %s\n", p.Name, p.From)
	for i := range p.Stages {
		s := &p.Stages[i]
		fmt.Fprintf(b, "  %s (%s)\n", strings.TrimPrefix(s.Address, "pipeline."+p.Name+"."), s.Kind)
		sub := func(name, value string) { wrapped(b, "  "+name, value) }
		sub("from", orNothing(strings.Join(s.From, ", ")))
		if s.Columns != nil {
			cols := []string{}
			for _, c := range s.Columns {
				cols = append(cols, c.Name+glue+c.Type)
			}
			sub("emits", orNothing(strings.Join(cols, ", ")))
		}
		for _, t := range s.State {
			sub("state", t.text()+": "+t.Name)
		}
		if s.Phases != "" {
			sub("phases", s.Phases)
		}
		if s.Counts != "" {
			sub("counts", "the "+s.Counts+" revision of each row that comes again")
		}
		if s.Revises {
			sub("late", "revises: the row comes again with a higher revision")
		}
		if s.Promise != "" {
			sub("promise", s.Promise+": "+s.Why)
		} else {
			sub("to", orNothing(strings.Join(s.To, ", ")))
		}
	}
	fmt.Fprintf(b, "  rejects go to %s\n\n", p.Rejects)
}

// wrapped writes a line with a name, broken at commas and blanks where it gets too long.
func wrapped(b *strings.Builder, name, value string) {
	const wide, indent = 100, 13
	head := fmt.Sprintf("  %-*s ", indent-3, name)
	line := head
	for i, word := range strings.Split(value, " ") {
		if i > 0 && len(line)+1+len(word) > wide {
			b.WriteString(strings.ReplaceAll(strings.TrimRight(line, " "), glue, " ") + "\n")
			line = strings.Repeat(" ", indent)
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	b.WriteString(strings.ReplaceAll(line, glue, " ") + "\n")
}

// glue is a blank at which wrapped does not break a line.
const glue = "\x00"

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + many
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Bytes writes a number of bytes for a person, such as "1.2 MiB".
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	size, unit := float64(n)/1024, 0
	for size >= 1024 {
		size, unit = size/1024, unit+1
	}
	return strconv.FormatFloat(size, 'f', 1, 64) + " " + units[unit:unit+1] + "iB"
}

// ChangesText writes a list of changes for a person; those that are kept with
// nothing to say about them are counted only.
func ChangesText(changes []Change) string {
	wide, quiet := 0, 0
	for _, c := range changes {
		if !c.quiet() {
			wide = max(wide, len(short(c.Address)))
		}
	}
	var b strings.Builder
	for _, c := range changes {
		if c.quiet() {
			quiet++
			continue
		}
		fmt.Fprintf(&b, "  %-7s  %-*s  %s\n", c.Fate, wide, short(c.Address), c.Why)
	}
	if quiet > 0 {
		fmt.Fprintf(&b, "  %-7s  %s as they are\n", Kept, plural(quiet, "other block", "other blocks"))
	}
	out := ""
	for line := range strings.Lines(b.String()) {
		out += strings.TrimRight(line, " \n") + "\n"
	}
	return out
}

func (c *Change) quiet() bool { return c.Fate == Kept && c.Why == "" }

func short(address string) string { return strings.TrimPrefix(address, "pipeline.") }
