package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
)

// newInitCommand writes a configuration to begin with.
func newInitCommand(o *options) *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use:     "init [FILE]",
		GroupID: groupTry,
		Short:   "Write a configuration for your own providers",
		Long: `Write a configuration that explains every key, to ./tidegate.yaml or FILE.
Providers whose key is in the environment are ready to use in it; the others are
commented out. FILE may be - for standard output.`,
		Example: `  OPENAI_API_KEY=… tidegate init
  tidegate init - | less`,
		Args: arguments(0, 1, "one FILE at most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := config.DefaultFile
			if len(args) > 0 {
				path = args[0]
			}
			return initRun{path: path, force: force, json: o.json, env: os.LookupEnv}.run(cmd.OutOrStdout())
		},
	}
	command.Flags().BoolVar(&force, "force", false, "overwrite FILE")
	return command
}

// An initRun is what init was asked for.
type initRun struct {
	path        string // "-": to the standard output
	force, json bool
	env         func(string) (string, bool)
}

// run writes the text, once it was seen to load, and says on out what it did.
func (r initRun) run(out io.Writer) error {
	text := initText(r.env)
	conf, warnings, err := config.Parse([]byte(text), r.path, r.env, allKnown())
	if err != nil {
		return fmt.Errorf("checking the new configuration against this environment: %w", err)
	}
	if r.path == "-" {
		_, err := io.WriteString(out, text)
		return err
	}
	if err := writeConfig(r.path, text, r.force); err != nil {
		return err
	}
	if r.json {
		return printJSON(out, map[string]any{"file": r.path, "targets": targetNames(conf)})
	}
	fmt.Fprintf(out, "Wrote %s.\n", r.path)
	if len(conf.Targets) > 0 { // else the next steps say it
		for _, w := range warnings {
			fmt.Fprintf(out, "Warning: %s\n", w)
		}
	}
	_, err = io.WriteString(out, "\n"+nextSteps(conf, r.path))
	return err
}

// writeConfig makes the file whole or not at all, and takes the place of another
// only if force says so.
func writeConfig(path, text string, force bool) (err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file in it, as in %s", path, filepath.Join(path, config.DefaultFile))
	}
	if !force {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already: name another file, or overwrite it with --force", path)
		}
		if err != nil {
			return cannotWrite(path, err)
		}
		_, err = file.WriteString(text)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("writing the configuration: %w", errors.Join(err, os.Remove(path)))
		}
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".tidegate-*.yaml")
	if err != nil {
		return cannotWrite(path, err)
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// nextSteps says what to do with the new file, as far as it is ready.
func nextSteps(c *config.Config, path string) string {
	flag := ""
	if path != config.DefaultFile {
		flag = " --config " + path
	}
	if len(c.Targets) == 0 {
		keys := make([]string, len(exampleProviders))
		for i, p := range exampleProviders {
			keys[i] = "$" + p.key
		}
		return fmt.Sprintf(`No provider's key is set (%s), so every target in it is commented out.
Next:
  1. set a key, then: tidegate init%s --force
     (or edit the file by hand: any provider with an OpenAI-compatible API will do, and Azure)
  2. tidegate doctor%s
Without any key, tidegate dev works with simulated providers.
`, strings.Join(keys, ", "), strings.TrimPrefix(flag, " --config"), flag)
	}
	return fmt.Sprintf(`Ready to use: %s.
Next:
  1. tidegate prices%s, and check them against your provider's page
  2. tidegate doctor%s
  3. tidegate dev%s
`, strings.Join(targetNames(c), ", "), flag, flag, flag)
}

// targetNames are the targets that are ready to use.
func targetNames(c *config.Config) []string {
	names := make([]string, len(c.Targets))
	for i, t := range c.Targets {
		names[i] = t.Name
	}
	return names
}
