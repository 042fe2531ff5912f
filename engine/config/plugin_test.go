package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestPlugins: what plugin blocks become, and what is said of those that are wrong.
func TestPlugins(t *testing.T) {
	const frame = "channel \"t\" {\n}\n%s"
	pushed := "sha256:" + strings.Repeat("ab", 32)
	for _, c := range []struct{ block, want string }{
		{"plugin \"a\" {\n source = \"a.wasm\"\n memory = \"1MiB\"\n fuel_per_row = 7\n deadline = \"2s\"\n grants = [\"clock\"]\n config = { b = 1, a = [true] }\n}",
			"a 4 bytes sha256:cd5d4935 fuel 7 memory 1048576 deadline 2s grants [clock] config a b"},
		{"plugin \"a\" {\n digest = \"" + pushed + "\"\n}", "a 6 bytes sha256:abababab fuel 0 memory 0 deadline 0s grants [] config"},
		{"plugin \"a\" {\n}", "Missing argument: A plugin says where its module is"},
		{"plugin \"a\" {\n source = \"b.wasm\"\n}", "Module cannot be read"},
		{"plugin \"a\" {\n source = 3\n}", "source takes a string"},
		{"plugin \"a\" {\n digest = \"sha256:12\"\n}", "Not a digest"},
		{"plugin \"a\" {\n digest = \"sha256:" + strings.Repeat("cd", 32) + "\"\n}", "Unknown module: not here"},
		{"plugin \"a\" {\n source = \"a.wasm\"\n digest = \"" + pushed + "\"\n}", "Another module: The module in a.wasm is sha256:cd5d4935"},
		{"plugin \"a\" {\n source = \"a.wasm\"\n grants = [\"clok\"]\n}", "Unknown grant: There is no grant \"clok\". Did you mean \"clock\"?"},
		{"plugin \"a\" {\n source = \"a.wasm\"\n deadline = \"2d\"\n fuel_per_row = 0\n}", "fuel_per_row goes from 1"},
		{"plugin \"a\" {\n source = \"a.wasm\"\n config = 3\n}", "Not an object"},
		{"plugin \"a\" {\n source = \"a.wasm\"\n}\nplugin \"a\" {\n source = \"a.wasm\"\n}", "Duplicate name: plugin.a"},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"x.hcl": fmt.Sprintf(frame, c.block), "a.wasm": "\x00asm"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cfg, diags := Load(env.Real(), dir, Options{Modules: func(digest string) ([]byte, error) {
			if digest != pushed {
				return nil, fmt.Errorf("not here")
			}
			return []byte("pushed"), nil
		}})
		got := ""
		for _, p := range cfg.Plugins {
			if len(p.Digest) < 15 {
				continue
			}
			got += fmt.Sprintf("%s %d bytes %s fuel %d memory %d deadline %v grants %v config", p.Name, len(p.Module), p.Digest[:15], p.FuelPerRow, p.Memory, p.Deadline, p.Grants)
			for _, a := range p.Config {
				got += " " + a.Name
			}
		}
		for _, d := range diags {
			got += fmt.Sprintf("\n%s: %s", d.Summary, d.Detail)
			if d.Subject == nil {
				t.Errorf("no position: %s", d.Summary)
			}
		}
		if !strings.Contains(got, c.want) || diags.HasErrors() == strings.Contains(c.want, "bytes sha256") {
			t.Errorf("%s:\n%s\nwant %s", c.block, got, c.want)
		}
	}
}
