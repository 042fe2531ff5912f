package plugindev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/wasm"
	"github.com/tidemill/tidemill/engine/wasm/meter"
	"github.com/tidemill/tidemill/sdk"
)

// Missing is the error when a compiler is not there: what is missing, and how it is had.
type Missing struct{ What, Get string }

func (m *Missing) Error() string { return m.What + " is missing. " + m.Get }

// builder is one run of a compiler.
type builder struct {
	ctx  context.Context
	p    *Project
	dir  string // the project's folder
	work string // for what lasts no longer than the run
	out  string
}

// Build compiles a project and puts its manifest in. It writes the generated
// constants into the project's folder; the module is returned, not written.
func (p *Project) Build(ctx context.Context) ([]byte, error) {
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, err
	}
	if err := p.writeGenerated(dir); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "tidemill-build-")
	if err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, p: p, dir: dir, work: work, out: filepath.Join(work, "out.wasm")}
	module, err := b.module()
	return module, errors.Join(err, os.RemoveAll(work))
}

func (p *Project) writeGenerated(dir string) error {
	name, text := p.Generate()
	if p.Language == "go" {
		text = bytes.Replace(text, []byte("TIDEMILL"), []byte(goImport(dir)), 1)
	}
	name = filepath.Join(dir, name)
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, text) {
		return nil
	}
	return os.WriteFile(name, text, 0o644)
}

// goImport is how a Go project imports its SDK: its own copy, or the one of this repository.
func goImport(dir string) string {
	const own = "github.com/tidemill/tidemill/sdk/go"
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return own
	}
	for _, line := range strings.Split(string(mod), "\n") {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name) + "/tidemill"
		}
	}
	return own
}

func (b *builder) module() ([]byte, error) {
	if _, err := os.Stat(filepath.Join(b.p.Dir, b.p.Source)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: it would be compiled, since source in plugin.hcl is the plugin's name unless it says otherwise", filepath.Join(b.p.Dir, b.p.Source))
	}
	var err error
	switch b.p.Language {
	case "go":
		err = b.golang()
	case "rust":
		err = b.rust()
	case "c":
		err = b.c()
	case "assemblyscript":
		err = b.assemblyScript()
	}
	if err != nil {
		return nil, err
	}
	code, err := os.ReadFile(b.out)
	if err != nil {
		return nil, err
	}
	module, err := Attach(code, b.p.Manifest)
	if err != nil {
		return nil, err
	}
	return module, wasm.Complete(module)
}

// Attach puts a manifest into a module. The host calls that it lists are those that the module imports.
func Attach(code []byte, manifest wasm.Manifest) ([]byte, error) {
	m, err := meter.Read(code, meter.Limits{})
	if err != nil {
		return nil, err
	}
	calls := map[string]string{"log": "log", "config_text": "config", "config_number": "config", "fail": "fail", "now": "clock", "random": "random"}
	manifest.Calls = nil
	for _, i := range m.Imports {
		if call := calls[i.Name]; i.Module == "tidemill" && call != "" && !slices.Contains(manifest.Calls, call) {
			manifest.Calls = append(manifest.Calls, call)
		}
	}
	slices.Sort(manifest.Calls)
	text, err := json.Marshal(&manifest)
	if err != nil {
		return nil, err
	}
	return wasm.Attach(code, text)
}

// run runs a compiler in a folder; what it says is in the error.
func (b *builder) run(dir string, env []string, program string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if err := b.ctx.Err(); err != nil {
		return err
	}
	text := strings.ReplaceAll(strings.TrimSpace(string(out)), b.work+string(filepath.Separator), "")
	return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, text)
}

// sdkFolder is where the SDK's files are, of which name is one: in the project, or laid out for this run.
func (b *builder) sdkFolder(language, name string) (string, error) {
	if _, err := os.Stat(filepath.Join(b.dir, name)); err == nil {
		return b.dir, nil
	}
	return b.work, copyTree(sdk.Files, language, func(name string, text []byte) error {
		return os.WriteFile(filepath.Join(b.work, name), text, 0o644)
	})
}

func (b *builder) c() error {
	clang, err := exec.LookPath("clang")
	if err != nil {
		return &Missing{"clang", "C plugins need clang and lld: apt-get install clang lld"}
	}
	linker, err := exec.LookPath("wasm-ld")
	if err != nil {
		return &Missing{"wasm-ld", "clang needs it for WebAssembly: apt-get install lld"}
	}
	folder, err := b.sdkFolder("c", "tidemill.h")
	if err != nil {
		return err
	}
	// clang would run a wasm-opt that it finds, and the digest would depend on what is installed; so it does not link.
	object := filepath.Join(b.work, "out.o")
	args := []string{"--target=wasm32", "-O2", "-nostdlib", "-mbulk-memory", "-msimd128", "-msign-ext", "-mnontrapping-fptoint", "-Wall", "-Wextra", "-Wno-unused-function",
		"-I", folder, "-c", b.p.Source, "-o", object}
	if err := b.run(b.dir, nil, clang, append(args, b.p.Flags...)...); err != nil {
		return err
	}
	return b.run(b.dir, nil, linker, "--no-entry", "--strip-all", "-z", "stack-size=65536", "--stack-first", object, "-o", b.out)
}

func (b *builder) rust() error {
	rustc, err := b.rustc()
	if err != nil {
		return err
	}
	folder, err := b.sdkFolder("rust", "tidemill.rs")
	if err != nil {
		return err
	}
	common := []string{"--target", "wasm32-unknown-unknown", "--edition", "2021", "-C", "opt-level=2", "-C", "panic=abort", "-C", "target-feature=+bulk-memory,+simd128",
		"--remap-path-prefix", folder + "=sdk"} // or the digest would depend on where the SDK stood
	lib := filepath.Join(b.work, "libtidemill.rlib")
	args := append(slices.Clone(common), "--crate-type", "rlib", "--crate-name", "tidemill", filepath.Join(folder, "tidemill.rs"), "-o", lib)
	if err := b.run(b.work, nil, rustc, append(args, b.p.Flags...)...); err != nil {
		return err
	}
	args = append(slices.Clone(common), "-C", "lto=fat", "-C", "strip=symbols", "-C", "link-arg=-zstack-size=65536", "-C", "link-arg=--stack-first",
		"--crate-type", "cdylib", "--crate-name", b.p.Manifest.Name, "--extern", "tidemill="+lib, b.p.Source, "-o", b.out)
	return b.run(b.dir, nil, rustc, append(args, b.p.Flags...)...)
}

// rustc finds a compiler that knows WebAssembly: Debian's stands beside one of rustup that may not.
func (b *builder) rustc() (string, error) {
	var found []string
	if path, err := exec.LookPath("rustc"); err == nil {
		found = append(found, path)
	}
	found = append(found, "/usr/bin/rustc")
	for _, path := range found {
		out, err := exec.CommandContext(b.ctx, path, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			continue
		}
		if libs, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "libstd-*")); err == nil && len(libs) > 0 {
			return path, nil
		}
	}
	return "", &Missing{"rustc with the target wasm32-unknown-unknown", "Rust plugins need it: apt-get install rustc libstd-rust-dev-wasm32, or rustup target add wasm32-unknown-unknown"}
}

func (b *builder) golang() error {
	tool, err := exec.LookPath("go")
	if err != nil {
		return &Missing{"go", "Go plugins need Go 1.24 or later: https://go.dev/dl"}
	}
	args := []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", b.out}
	args = append(append(args, b.p.Flags...), "./"+b.p.Source)
	return b.run(b.dir, []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0"}, tool, args...)
}

func (b *builder) assemblyScript() error {
	asc := filepath.Join(b.dir, "node_modules", ".bin", "asc")
	if _, err := os.Stat(asc); err != nil {
		if asc, err = exec.LookPath("asc"); err != nil {
			return &Missing{"asc", "AssemblyScript plugins need its compiler: npm install assemblyscript@0.28 in the plugin's folder, or npm install -g assemblyscript (in Tidemill's own repository .ci/needs installs it)"}
		}
	}
	if runtime.GOOS == "windows" {
		asc += ".cmd"
	}
	// The compiler wants all sources below one folder, so they are copied beside the SDK.
	sources, err := filepath.Glob(filepath.Join(b.dir, "*.ts"))
	if err != nil {
		return err
	}
	if _, err := b.sdkFolder("assemblyscript", "tidemill.ts"); err != nil {
		return err
	}
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.work, filepath.Base(name)), text, 0o644); err != nil {
			return err
		}
	}
	args := []string{b.p.Source, "-O3", "--runtime", "minimal", "--use", "abort=tidemill/abort", "--enable", "bulk-memory", "-o", b.out}
	return b.run(b.work, nil, asc, append(args, b.p.Flags...)...)
}
