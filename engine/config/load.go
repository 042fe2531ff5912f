package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/env"
)

// example is what an empty folder is told to begin with.
const example = `channel "telemetry" {
  key  = device
  time = ts
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "input.ndjson"
}

pipeline "first" {
  from = channel.telemetry

  rule "warm" {
    where = temp > 8
  }
  sink "stdout" "show" {
    from = rule.warm
  }
}
`

// loader is a Load under way.
type loader struct {
	env    *env.Env
	dir    string
	cfg    *Config
	diags  hcl.Diagnostics
	bodies []*hclsyntax.Body // of the files that were parsed, in order of name
	// torn are positions where the parser gave a block or an argument up, so that
	// something may seem missing that is there.
	torn []hcl.Range
	vars map[string]string // values from the command line
	// modules finds a plugin's module by its digest; nil: there is no store.
	modules    func(digest string) ([]byte, error)
	signatures func(digest string) ([]byte, error) // likewise what signs it
	// hints counts how often all names were searched for a near one.
	hints  int
	stages int // of all pipelines
}

// maxMistakes limits how many mistakes are told at once.
const maxMistakes = 1_000

func (l *loader) fail(at hcl.Range, summary, detail string, args ...any) {
	l.add(Errorf(at, summary, detail, args...))
}

// add takes diagnostics in until there are too many; the last one says so.
func (l *loader) add(diags hcl.Diagnostics) {
	room := maxMistakes - len(l.diags)
	if len(diags) > room && room >= 0 {
		diags = append(Sort(diags)[:room:room], Errorf(hcl.Range{}, "Too many mistakes", "The first %d are told.", maxMistakes)...)
	}
	if room >= 0 {
		l.diags = append(l.diags, diags...)
	}
}

func load(e *env.Env, dir string, o Options) (*Config, hcl.Diagnostics) {
	l := &loader{env: e, dir: dir, vars: o.Vars, modules: o.Modules, signatures: o.Signatures, cfg: &Config{Dir: dir, Files: map[string]*hcl.File{}}}
	l.readFiles()
	tops := l.topBlocks()
	l.variables(tops["variable"])
	l.engine(tops["engine"])
	l.channels(tops["channel"])
	l.trust(tops["trust"])
	l.plugins(tops["plugin"])
	l.fleets(tops["fleet"])
	l.rollouts(tops["rollout"])
	l.ingests(tops["ingest"])
	l.pipelines(tops["pipeline"])
	return l.cfg, Sort(l.diags)
}

// readFiles reads and parses all files of the folder.
func (l *loader) readFiles() {
	entries, err := l.env.FS.ReadDir(l.dir)
	if err != nil {
		why := err
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			why = pathError.Err
		}
		l.fail(hcl.Range{}, "Folder cannot be read", "%s: %v. Give the folder that holds the *.hcl files.", l.dir, why)
		return
	}
	digest := sha256.New()
	files, total := 0, 0
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".hcl") || strings.HasSuffix(name, ".test.hcl") {
			continue
		}
		if files++; files > MaxFiles {
			l.fail(hcl.Range{}, "Too many files", "A folder may hold %d files of configuration.", MaxFiles)
			break
		}
		src, ok := l.readFile(path.Join(l.dir, name))
		if !ok {
			continue
		}
		if total += len(src); total > MaxFolderBytes {
			l.fail(hcl.Range{}, "Too much configuration", "The files of a folder may be %d MiB together.", MaxFolderBytes>>20)
			break
		}
		digest.Write(binary.AppendUvarint(nil, uint64(len(name))))
		digest.Write([]byte(name))
		digest.Write(binary.AppendUvarint(nil, uint64(len(src))))
		digest.Write(src)
		l.parse(path.Join(l.dir, name), src)
	}
	l.cfg.Digest = hex.EncodeToString(digest.Sum(nil))
	if !l.diags.HasErrors() && l.empty() {
		l.fail(hcl.Range{}, "Nothing to run", "%s holds no configuration. Write a file such as first.hcl:\n\n%s", l.dir, indent(example))
	}
}

func indent(text string) string {
	return "    " + strings.TrimRight(strings.ReplaceAll(text, "\n", "\n    "), " ")
}

func (l *loader) empty() bool {
	for _, b := range l.bodies {
		if len(b.Blocks)+len(b.Attributes) > 0 {
			return false
		}
	}
	return true
}

// readFile reads a file that is not too long.
func (l *loader) readFile(name string) ([]byte, bool) {
	at := hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
	src, err := readAll(l.env.FS, name)
	if err != nil {
		l.fail(at, "File cannot be read", "%v", err)
		return nil, false
	}
	if len(src) > MaxFileBytes {
		l.cfg.Files[name] = &hcl.File{Body: hcl.EmptyBody()}
		l.add(CheckLimits(name, src))
		return nil, false
	}
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) { // each line would be wrong
		l.cfg.Files[name] = &hcl.File{Body: hcl.EmptyBody()}
		l.fail(at, "Not UTF-8", "This file is UTF-16. Save it as UTF-8.")
		return nil, false
	}
	return src, true
}

// readAll returns at most one byte more than MaxFileBytes.
func readAll(files env.FS, name string) ([]byte, error) {
	f, err := files.Open(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.NewSectionReader(f, 0, MaxFileBytes+1))
	return src, errors.Join(err, f.Close())
}

// parse checks the limits of a file and parses it.
func (l *loader) parse(name string, src []byte) {
	if diags := checkLimits(src, name); diags.HasErrors() {
		l.cfg.Files[name] = &hcl.File{Body: hcl.EmptyBody(), Bytes: src}
		l.add(diags)
		return
	}
	file, diags, torn := parseAll(src, name)
	l.cfg.Files[name] = file
	l.add(diags)
	l.torn = append(l.torn, torn...)
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok || body == nil {
		panic("BUG: the parser gave no body")
	}
	l.bodies = append(l.bodies, body)
}

// topLabels says what labels top-level blocks have.
var topLabels = [...]struct {
	kind   string
	labels []string
}{
	{"engine", nil},
	{"variable", []string{"name"}},
	{"channel", []string{"name"}},
	{"plugin", []string{"name"}},
	{"trust", nil},
	{"fleet", []string{"name"}},
	{"rollout", []string{"name"}},
	{"ingest", []string{"type", "name"}},
	{"pipeline", []string{"name"}},
}

func labelsOfTop(kind string) (labels []string, ok bool) {
	for _, t := range topLabels {
		if t.kind == kind {
			return t.labels, true
		}
	}
	return nil, false
}

func topKinds() []string {
	var kinds []string
	for _, t := range topLabels {
		kinds = append(kinds, t.kind)
	}
	return kinds
}

// topBlocks sorts the blocks of all files by kind.
func (l *loader) topBlocks() map[string][]*hclsyntax.Block {
	tops := map[string][]*hclsyntax.Block{}
	for _, body := range l.bodies {
		for _, a := range attributes(body) {
			l.fail(a.NameRange, "Argument outside a block", "%q stands in no block.%s", a.Name, blockHint(a.Name))
		}
		for _, b := range body.Blocks {
			labels, ok := labelsOfTop(b.Type)
			if !ok {
				l.fail(b.TypeRange, "Unknown block", "There is no block %q at the top of a file.%s", b.Type, blockHint(b.Type))
				continue
			}
			if l.labels(b, labels) {
				tops[b.Type] = append(tops[b.Type], b)
			}
		}
	}
	return tops
}

func blockHint(name string) string {
	if isStageKind(name) {
		return " It belongs into a pipeline: pipeline \"name\" { ... }"
	}
	if name == "test" {
		return " Tests stand in files of their own, whose names end in .test.hcl."
	}
	return didYouMean(name, topKinds(), "")
}

// labels checks that a block has the labels that its kind has, and that its name can be one.
func (l *loader) labels(b *hclsyntax.Block, labels []string) bool {
	if len(b.Labels) != len(labels) {
		shape := b.Type
		for _, label := range labels {
			shape += " " + `"` + label + `"`
		}
		l.fail(b.DefRange(), "Wrong labels", "%s takes %s: %s { ... }", b.Type, labelCount(len(labels)), shape)
		return false
	}
	if len(labels) == 0 {
		return true
	}
	last := len(b.Labels) - 1
	if name := b.Labels[last]; !validName(name) {
		hint := ""
		if better := repairName(name); validName(better) {
			hint = " Did you mean \"" + better + "\"?"
		}
		l.fail(b.LabelRanges[last], "Not a name", "A name has letters, digits and underscores, and no digit in front; at most 64.%s", hint)
		return false
	}
	return true
}

func labelCount(n int) string {
	return [...]string{"no label", "one label", "two labels"}[n]
}

// validName says whether references and file names can hold a name.
func validName(s string) bool {
	if s == "" || len(s) > 64 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func repairName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !nameByte(c) {
			b[i] = '_'
		}
	}
	return string(b)
}

// duplicate reports a name that stands already.
func (l *loader) duplicate(what string, at, first hcl.Range) {
	where := "line"
	if first.Filename != at.Filename {
		where = first.Filename + " line"
	}
	l.fail(at, "Duplicate name", "%s stands already on %s %d. Give one of them another name.", what, where, first.Start.Line)
}

// isTorn says that the parser gave something up within a block.
func (l *loader) isTorn(r hcl.Range) bool {
	for _, t := range l.torn {
		if t.Filename == r.Filename && t.Start.Line >= r.Start.Line && (t.Start.Line <= r.End.Line || r.End.Line == r.Start.Line) {
			return true
		}
	}
	return false
}

// ParseFile reads and parses one file, within the limits of configuration, whatever it
// holds. The file is nil when it cannot be read.
func ParseFile(e *env.Env, name string) (*hcl.File, hcl.Diagnostics) {
	l := &loader{env: e, cfg: &Config{Files: map[string]*hcl.File{}}}
	src, ok := l.readFile(name)
	if !ok {
		return nil, l.diags
	}
	l.parse(name, src)
	if len(l.bodies) == 0 {
		return nil, l.diags
	}
	return l.cfg.Files[name], Sort(l.diags)
}
