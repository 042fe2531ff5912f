package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/wasm"
)

// defaultData is the data folder of commands that are given while one is in the pipeline's folder.
const defaultData = ".tidemill"

// dataFlag adds the flag of commands about a data folder.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", defaultData, "the engine's data `FOLDER`")
}

// dataFolder makes a data folder that is not there yet, as before the first run. By its default name that is done beside a configuration only:
// no engine would ever look into one that was made anywhere else.
func (a *app) dataFolder(data string) error {
	if err := a.knowsFolder(data); err != nil {
		return err
	}
	return a.env.FS.MkdirAll(data)
}

// knowsFolder tells of a data folder that no engine would look into, and makes nothing.
func (a *app) knowsFolder(data string) error {
	_, err := os.Stat(data)
	if files, _ := filepath.Glob("*.hcl"); err != nil && data == defaultData && len(files) == 0 {
		return fmt.Errorf("there is no data folder %s here, and no configuration that would have one: name the pipeline's with --data, such as pipelines/coldhaul/%s, or go into its folder",
			data, data)
	}
	return nil
}

func (a *app) pluginPushCommand() *cobra.Command {
	var data, key string
	cmd := &cobra.Command{
		Use:   "push [--data FOLDER] [--sign KEY] MODULE",
		Short: "Put a module into the store of a data folder, by its digest",
		Long: "Verifies the module's manifest and keeps the module under its SHA-256 digest, whether or not an engine runs on the\n" +
			"data folder. Signatures in MODULE.sig come along. --sign KEY signs the digest with an Ed25519 key, and adds that to\n" +
			"MODULE.sig; the key's file is made if there is none, and its public key, for the trust block, is printed.\n\n" + exitHelp,
		Example: "  tidemill plugin push --data pipelines/coldhaul/.tidemill reefer_health.wasm",
		Args:    one("a module, such as over_temp/over_temp.wasm"),
		RunE: func(_ *cobra.Command, args []string) error {
			return failed(a.pluginPush(data, key, args[0]))
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&key, "sign", "", "sign with the private key in `FILE` (32 bytes, base64)")
	return cmd
}

func (a *app) pluginPush(data, key, name string) error {
	module, err := readModule(name)
	if err != nil {
		return err
	}
	if err := a.knowsFolder(data); err != nil {
		return err
	}
	m, err := wasm.ReadManifest(module)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := wasm.Complete(module); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	digest := wasm.Digest(module)
	signatures, err := os.ReadFile(name + ".sig")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := modules.Verify(digest, signatures); err != nil {
		return fmt.Errorf("%s.sig: %w", name, err)
	}
	if key != "" {
		private, err := signingKey(key)
		if err != nil {
			return err
		}
		signatures = modules.AddLines(signatures, modules.Signature(digest, private))
		if err := os.WriteFile(name+".sig", signatures, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(a.err, "signed with %s\n", base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)))
	}
	if err := a.dataFolder(data); err != nil {
		return err
	}
	s := modules.Open(a.env, data)
	if _, _, err := s.Put(module); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(signatures) > 0 {
		if err := s.Sign(digest, signatures); err != nil {
			return fmt.Errorf("%s.sig: %w", name, err)
		}
	}
	_, err = fmt.Fprintf(a.out, "%s  %s %s\n", digest, m.Name, m.Version)
	return err
}

// signingKey reads a private key, and makes one where there is no such file.
func signingKey(name string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return private, os.WriteFile(name, []byte(base64.StdEncoding.EncodeToString(private.Seed())+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s holds no key: it takes %d bytes, base64", name, ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func (a *app) pluginLsCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "ls [--data FOLDER]", Short: "List the modules in the store of a data folder",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := modules.Open(a.env, data).List()
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(a.out, append([]modules.Entry{}, list...))
			}
			for _, e := range list {
				if e.Problem != "" {
					fmt.Fprintf(a.out, "%s  %8d  cannot be used: %s\n", e.Digest, e.Bytes, e.Problem)
					continue
				}
				signed := ""
				if n := len(e.Signers); n > 0 {
					signed = ", " + count(n, "signature")
				}
				fmt.Fprintf(a.out, "%s  %8d  %s %s, %s%s\n", e.Digest, e.Bytes, e.Manifest.Name, e.Manifest.Version, e.Manifest.Kind, signed)
			}
			return nil
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
