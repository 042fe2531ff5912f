package engine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const (
	enginePath = "github.com/tidemill/tidemill/engine/"
	arrowPath  = "github.com/apache/arrow-go/"

	maxFileLines = 500
	maxFuncLines = 70
	maxMethods   = 6
)

// house is the engine's source without its tests.
type house struct {
	fset     *token.FileSet
	packages map[string]*pkg // by path below engine/, such as "stages/rule"
	order    []string        // folders in the order of the map in doc.go
}

// pkg is one package.
type pkg struct {
	name  string // its path below engine/
	files map[string]*ast.File
}

// TestHouse checks the rules of the house; see doc.go and DEVELOPERS.md.
func TestHouse(t *testing.T) {
	h, err := readHouse(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(h.packages) < 5 || len(h.order) < 5 {
		t.Fatalf("%d packages, %d of them on the map: the test looks at the wrong place", len(h.packages), len(h.order))
	}
	for _, problem := range h.check() {
		t.Error(problem)
	}
}

// TestRulesCanFail breaks every rule once, each in a house of its own.
func TestRulesCanFail(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no houses", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			want := unpack(t, dir, string(text))
			h, err := readHouse(dir)
			if err != nil {
				t.Fatal(err)
			}
			got := h.check()
			if len(got) != 1 || !strings.Contains(got[0], want) {
				t.Errorf("problems: %q; want one with %q", got, want)
			}
		})
	}
}

// unpack writes the files of a house. Its first line is a part of the problem
// that it has; files begin with "-- name --".
func unpack(t *testing.T, dir, text string) (want string) {
	want, rest, _ := strings.Cut(text, "\n")
	parts := regexp.MustCompile(`(?m)^-- (.*) --\n`).Split(rest, -1)
	names := regexp.MustCompile(`(?m)^-- (.*) --\n`).FindAllStringSubmatch(rest, -1)
	for i, m := range names {
		name := filepath.Join(dir, m[1])
		body := strings.ReplaceAll(parts[i+1], "@500@", strings.Repeat("//\n", 500))
		body = strings.ReplaceAll(body, "@70@", strings.Repeat("\n", 70))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

func readHouse(dir string) (*house, error) {
	h := &house{fset: token.NewFileSet(), packages: map[string]*pkg{}}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || rel == "deps") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(h.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p := path.Dir(filepath.ToSlash(rel))
		if h.packages[p] == nil {
			h.packages[p] = &pkg{name: p, files: map[string]*ast.File{}}
		}
		h.packages[p].files[filepath.Base(name)] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	if root := h.packages["."]; root != nil {
		for _, m := range regexp.MustCompile(`(?m)^\t([a-z/]+)/ `).FindAllStringSubmatch(root.comment(), -1) {
			h.order = append(h.order, m[1])
		}
	}
	return h, nil
}

func (p *pkg) comment() string {
	var all strings.Builder
	for _, name := range sortedNames(p.files) {
		if doc := p.files[name].Doc; doc != nil {
			all.WriteString(doc.Text() + "\n")
		}
	}
	return all.String()
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (h *house) check() []string {
	c := &checker{h: h}
	for _, name := range sortedNames(h.packages) {
		p := h.packages[name]
		c.documented(p)
		c.imports(p)
		vars := packageVars(p)
		for _, file := range sortedNames(p.files) {
			c.file(p, p.files[file])
			c.state(p.files[file], vars)
		}
	}
	return c.problems
}

// checker gathers problems.
type checker struct {
	h        *house
	problems []string
}

func (c *checker) report(at token.Pos, text string) {
	pos := c.h.fset.Position(at)
	c.problems = append(c.problems, filepath.Base(filepath.Dir(pos.Filename))+"/"+filepath.Base(pos.Filename)+":"+strconv.Itoa(pos.Line)+": "+text)
}

// rank is the place of a package on the map; -1 when it is not there.
func (h *house) rank(name string) int {
	for i, folder := range h.order {
		if name == folder || strings.HasPrefix(name, folder+"/") {
			return i
		}
	}
	return -1
}

// documented checks that a package says what it is.
func (c *checker) documented(p *pkg) {
	if p.name != "." && c.h.rank(p.name) < 0 {
		c.problems = append(c.problems, p.name+" is not on the map in engine/doc.go")
	}
	if strings.HasPrefix(p.name, "stages/") && p.comment() != "" {
		return
	}
	if f := p.files["doc.go"]; f == nil || f.Doc == nil {
		c.problems = append(c.problems, p.name+" has no doc.go with a package comment")
	}
}

// imports checks what a package imports against its own words and the map.
func (c *checker) imports(p *pkg) {
	found := map[string]token.Pos{}
	for _, f := range p.files {
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				panic("BUG: the parser let an import pass that is no string")
			}
			if short, ours := strings.CutPrefix(name, enginePath); ours {
				found[short] = spec.Pos()
			}
		}
	}
	for _, short := range sortedNames(found) {
		mine, theirs := c.h.rank(p.name), c.h.rank(short)
		within := p.name == "stages" && strings.HasPrefix(short, "stages/")
		if !within && theirs >= mine {
			c.report(found[short], p.name+" imports "+short+", which does not stand above it in engine/doc.go")
		}
	}
	comment := strings.ReplaceAll(p.comment(), "\n", " \n")
	said := regexp.MustCompile(`(?s)(?:^|\n)Imports: (.*?)(?:\n \n|\n\s*$|$)`).FindStringSubmatch(comment)
	if said == nil {
		if !strings.HasPrefix(p.name, "stages/") {
			c.problems = append(c.problems, p.name+": doc.go has no line Imports:")
		}
		return
	}
	var names []string
	for _, name := range strings.Split(said[1], ",") {
		if name = strings.TrimSpace(name); name != "nothing" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	if is := sortedNames(found); !slices.Equal(is, names) {
		c.problems = append(c.problems, p.name+": doc.go says Imports: "+strings.Join(names, ", ")+"; it imports "+strings.Join(is, ", "))
	}
}

// world says who may touch what of the world outside.
type world struct {
	pattern string // of a package's path; a * stands for any
	allowed string // of: clock files errno network randomness go
}

// doors are the packages with a door to the world outside, and which.
var doors = [...]world{
	{"env", "clock files errno network randomness go"},
	{"run", "go"},
	{"journal", "go errno"},                 // it tells a full disk from a broken one
	{"mqtt", "errno network randomness go"}, // a write that does not wait needs the system's own
	{"publish", "network go"},
	{"objects", "network"},
	{"stages/enrich", "network go"}, // it asks a server for a table, on a goroutine of its own
	{"stages/ingest*", "files network randomness go"},
	{"stages/sink*", "files network randomness go"},
	{"stages/stagetest", "randomness"}, // seeded: it cuts the input of other packages' tests
	{"wasm", "go"},
	{"simulate", "files"},
	{"plugindev", "files"}, // it runs compilers
	{"admin", "clock files errno network go"},
	{"cmd/*", "clock files errno network randomness go"},
}

func may(name, what string) bool {
	for _, d := range doors {
		if ok, _ := path.Match(d.pattern, name); ok && slices.Contains(strings.Fields(d.allowed), what) {
			return true
		}
	}
	return false
}

// doorOf says which door an import is.
func doorOf(name string) string {
	switch {
	case name == "os" || name == "os/exec" || name == "os/signal" || name == "io/ioutil" || name == "golang.org/x/sys/unix":
		return "files"
	case name == "syscall":
		return "errno"
	case name == "net" || strings.HasPrefix(name, "net/") && name != "net/url" && name != "net/netip":
		return "network"
	case name == "math/rand" || name == "math/rand/v2" || name == "crypto/rand" || name == "hash/maphash":
		return "randomness"
	}
	return ""
}

// file checks one file's size, functions, interfaces and doors.
func (c *checker) file(p *pkg, f *ast.File) {
	if lines := c.h.fset.File(f.Pos()).LineCount(); lines >= maxFileLines {
		c.report(f.Pos(), "the file has "+strconv.Itoa(lines)+" lines; it must stay under "+strconv.Itoa(maxFileLines))
	}
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if door := doorOf(name); door != "" && !may(p.name, door) {
			c.report(spec.Pos(), p.name+" must not import "+name+": "+door+" only through env")
		}
		if rest, ours := strings.CutPrefix(name, arrowPath); ours {
			_, part, _ := strings.Cut(rest, "/")                                                       // behind the version
			reads := p.name == "parquet" && (part == "parquet" || strings.HasPrefix(part, "parquet/")) // as every other reader does
			if !reads && !slices.Contains([]string{"arrow", "arrow/array", "arrow/ipc", "arrow/memory", "arrow/bitutil"}, part) {
				c.report(spec.Pos(), "of arrow-go only arrow, array, ipc (spools), memory and bitutil are used, not "+part)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			c.function(n)
		case *ast.InterfaceType:
			if count := n.Methods.NumFields(); count >= maxMethods {
				c.report(n.Pos(), "the interface has "+strconv.Itoa(count)+" methods; it must stay under "+strconv.Itoa(maxMethods))
			}
		case *ast.GoStmt:
			if !may(p.name, "go") {
				c.report(n.Pos(), p.name+" must not start goroutines")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && readsClock(n.Sel.Name) && !may(p.name, "clock") {
				c.report(n.Pos(), p.name+" must not use time."+n.Sel.Name+": the clock only through env")
			}
		}
		return true
	})
}

func readsClock(name string) bool {
	return slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, name)
}

func (c *checker) function(n *ast.FuncDecl) {
	if n.Recv == nil && n.Name.Name == "init" {
		c.report(n.Pos(), "no init functions")
	}
	first, last := c.h.fset.Position(n.Pos()).Line, c.h.fset.Position(n.End()).Line
	if lines := last - first + 1; lines >= maxFuncLines {
		c.report(n.Pos(), n.Name.Name+" has "+strconv.Itoa(lines)+" lines; a function must stay under "+strconv.Itoa(maxFuncLines))
	}
}

// packageVars lists a package's variables.
func packageVars(p *pkg) map[string]bool {
	vars := map[string]bool{}
	for _, f := range p.files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					vars[name.Name] = name.Name != "_"
				}
			}
		}
	}
	return vars
}

// state checks that variables of the package are constants in all but name:
// they have a value from the start, no lock, and nothing is assigned to them.
func (c *checker) state(f *ast.File, vars map[string]bool) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR {
					c.variable(v)
				}
			}
		case *ast.FuncDecl:
			if d.Body != nil {
				c.assignments(d, vars)
			}
		}
	}
}

func (c *checker) variable(v *ast.ValueSpec) {
	if v.Names[0].Name == "_" {
		return
	}
	mutable := len(v.Values) == 0
	ast.Inspect(v, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			mutable = mutable || ok && (x.Name == "sync" || x.Name == "atomic")
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.Ident)
			mutable = mutable || ok && (f.Name == "make" || f.Name == "new")
		case *ast.FuncLit:
			return false
		}
		return true
	})
	if mutable {
		c.report(v.Pos(), v.Names[0].Name+" is state of the package: put it into a value that is passed on")
	}
}

// assignments finds what changes a variable of the package. A local variable
// of the same name hides it.
func (c *checker) assignments(f *ast.FuncDecl, vars map[string]bool) {
	hidden := map[string]bool{}
	for _, list := range []*ast.FieldList{f.Recv, f.Type.Params, f.Type.Results} {
		if list == nil {
			continue
		}
		for _, field := range list.List {
			for _, name := range field.Names {
				hidden[name.Name] = true
			}
		}
	}
	changed := func(x ast.Expr) {
		if id := rootOf(x); id != nil && vars[id.Name] && !hidden[id.Name] {
			c.report(x.Pos(), id.Name+" is a variable of the package and must not change")
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				if id, ok := x.(*ast.Ident); ok && n.Tok == token.DEFINE {
					hidden[id.Name] = true
					continue
				}
				changed(x)
			}
		case *ast.RangeStmt:
			for _, x := range []ast.Expr{n.Key, n.Value} {
				if id, ok := x.(*ast.Ident); ok && n.Tok == token.DEFINE {
					hidden[id.Name] = true
				}
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				hidden[name.Name] = true
			}
		case *ast.IncDecStmt:
			changed(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				if _, literal := n.X.(*ast.CompositeLit); !literal {
					c.address(n, vars, hidden)
				}
			}
		}
		return true
	})
}

// address finds &variable of a whole variable: whoever has it can change it. The address of
// an item of a table is how big items are read.
func (c *checker) address(n *ast.UnaryExpr, vars, hidden map[string]bool) {
	if id, ok := n.X.(*ast.Ident); ok && vars[id.Name] && !hidden[id.Name] {
		c.report(n.Pos(), "the address of "+id.Name+", a variable of the package, is taken")
	}
}

// rootOf returns x of x, x.a, x[i] and *x.
func rootOf(x ast.Expr) *ast.Ident {
	for {
		switch y := x.(type) {
		case *ast.Ident:
			return y
		case *ast.SelectorExpr:
			x = y.X
		case *ast.IndexExpr:
			x = y.X
		case *ast.StarExpr:
			x = y.X
		case *ast.ParenExpr:
			x = y.X
		default:
			return nil
		}
	}
}
