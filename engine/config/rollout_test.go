package config

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestRollouts: what fleet, rollout and trust blocks become, and what is said of those that are wrong.
func TestRollouts(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	sum := sha256.Sum256([]byte("\x00asm"))
	signed := "ed25519 " + public + " " + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte("sha256:"+hex.EncodeToString(sum[:]))))
	const frame = "channel \"t\" {\n}\nplugin \"a\" {\n source = \"a.wasm\"\n}\nfleet \"lab\" {\n where = registry.site == \"lab\" && temp > 3\n}\n"
	rollout := func(more string) string {
		return frame + "rollout \"r\" {\n plugin = plugin.a\n canary = \"" + digest + "\"\n" + more + "\n}"
	}
	for _, c := range []struct{ text, sig, want string }{
		{rollout("fleet = fleet.lab\n percent = 10\n bake = \"10m\"\n error_rate = 0.01"), "", `r a lab "registry.site == \"lab\" && temp > 3" 10 false 10m0s 100`},
		{rollout("shadow = true\n min_rows = 7\n bake_by = \"event\""), "", `r a  "" 0 true 0s 7`},
		{rollout(""), "", "Missing argument: A rollout says on how many devices"},
		{rollout("percent = 101"), "", "percent goes from 0 to 100"},
		{rollout("percent = 1\n fleet = fleet.lap"), "", "Unknown fleet: fleet takes the name of a fleet block: fleet.NAME. Did you mean"},
		{rollout("percent = 1\n error_rate = 2"), "", "error_rate goes from 0 to 1"},
		{rollout("percent = 1\n stable = \"x\""), "", "Not a digest: stable takes"},
		{rollout("percent = 1\n bake_by = \"moon\""), "", "bake_by takes"},
		{frame + "rollout \"r\" {\n plugin = plugin.a\n percent = 1\n canary = plugin.ab\n}", "", "Unknown plugin: There is no block plugin.ab. Did you mean"},
		{frame + "rollout \"r\" {\n plugin = plugin.a\n percent = 1\n canary = 7\n}", "", "Not a digest"},
		{frame + "rollout \"r\" {\n plugin = plugin.b\n percent = 1\n canary = \"" + digest + "\"\n}", "", "Unknown plugin"},
		{frame + "trust {\n keys = [\"" + public + "\"]\n}", "", "Module without a signature"},
		{frame + "trust {\n keys = [\"" + public + "\"]\n}", signed, ""},
		{frame + "trust {\n keys = [\"" + public + "\"]\n}", strings.Replace(signed, "ed25519 ", "rsa ", 1), "Module without a signature"},
		{frame + "trust {\n keys = []\n}", signed, "Module without a signature"},
		{frame + "trust {\n keys = [\"abc\"]\n}", signed, "Not a key"},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"x.hcl": c.text, "a.wasm": "\x00asm", "a.wasm.sig": c.sig} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cfg, diags := Load(env.Real(), dir, Options{})
		got := ""
		for _, r := range cfg.Rollouts {
			got += fmt.Sprintf("%s %s %s %q %v %v %v %d", r.Name, r.Plugin, r.Fleet, r.Where, r.Percent, r.Shadow, r.Guard.Bake, r.Guard.MinRows)
		}
		for _, d := range diags {
			got += fmt.Sprintf("\n%s: %s", d.Summary, d.Detail)
		}
		if !strings.Contains(got, c.want) || c.want == "" && diags.HasErrors() {
			t.Errorf("%s\ngot %s\nwant %s", c.text, got, c.want)
		}
	}
}
