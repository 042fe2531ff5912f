package plugindev

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/sdk"
)

// New writes a new project into a folder that is named as the plugin and must not be there yet. It
// builds and its tests pass as it stands. It returns the files that were written.
func New(dir, language string) (files []string, err error) {
	name := filepath.Base(dir)
	if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`).MatchString(name) {
		return nil, fmt.Errorf("%q is no name for a plugin: it takes small letters, digits and _, a letter first", name)
	}
	if !slices.Contains(Languages(), language) {
		return nil, fmt.Errorf("there is no language %q; there is %s", language, strings.Join(Languages(), ", "))
	}
	if _, err := os.Stat(dir); err == nil {
		return nil, fmt.Errorf("%s is there already", dir)
	}
	write := func(to string, text []byte) error {
		to = strings.ReplaceAll(to, "NAME", name)
		text = []byte(strings.ReplaceAll(string(text), "NAME", name))
		files = append(files, filepath.Join(dir, to))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, to), text, 0o644)
	}
	for _, folder := range []string{"all", language} {
		err := copyTree(sdk.Templates, path.Join("templates", folder), func(to string, text []byte) error {
			text = []byte(strings.ReplaceAll(string(text), "LANGUAGE", language))
			return write(strings.TrimSuffix(to, ".txt"), text)
		})
		if err != nil {
			return files, err
		}
	}
	return files, copyTree(sdk.Files, language, func(to string, text []byte) error {
		if language == "go" {
			to = path.Join("tidemill", to)
		}
		return write(to, text)
	})
}

func copyTree(from fs.FS, folder string, write func(to string, text []byte) error) error {
	return fs.WalkDir(from, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return write(strings.TrimPrefix(name, folder+"/"), text)
	})
}
