package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tidegate/worker"
)

// options are the flags that every command has.
type options struct {
	config   string
	data     string
	postgres string
	nats     string
	json     bool

	logLevel string // of the commands that log; see registerLog
	logEnds  string // which requests that end, of those that work
}

func (o *options) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&o.config, "config", "", "configuration file (default: $TIDEGATE_CONFIG, else ./tidegate.yaml if there is one)")
	flags.StringVar(&o.data, "data", "", "folder of dev (default: $TIDEGATE_DATA, else "+shownDefaultData+")")
	flags.StringVar(&o.postgres, "database-url", "", "Postgres URL (default: the configuration's, $DATABASE_URL, a running dev's)")
	flags.StringVar(&o.nats, "nats-url", "", "NATS URL (default: the configuration's, $NATS_URL, a running dev's)")
	flags.BoolVar(&o.json, "json", false, "print JSON for programs instead of text for people")
}

// registerLog gives a command that logs the flag that says how much, and checks
// it before the command does anything.
func (o *options) registerLog(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.logLevel, "log-level", "info", "least level that is logged: trace, debug, info, warn, error, disabled")
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if _, err := o.logger(io.Discard); err != nil || before == nil {
			return err
		}
		return before(cmd, args)
	}
}

// registerLogEnds is registerLog for a command that answers requests.
func (o *options) registerLogEnds(cmd *cobra.Command) {
	var names []string
	for _, name := range worker.AllLogEnds() {
		names = append(names, string(name))
	}
	cmd.Flags().StringVar(&o.logEnds, "log-requests", string(worker.LogSome), "which requests that end are logged: "+strings.Join(names, ", ")+" (some: up to ten a second that were answered, and ten that were not)")
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(names, o.logEnds) {
			return usagef("--log-requests: %q is none of %s", o.logEnds, strings.Join(names, ", "))
		}
		if before == nil {
			return nil
		}
		return before(cmd, args)
	}
	o.registerLog(cmd)
}

const shownDefaultData = "~/.local/share/tidegate"

// dataDir is the folder of `tidegate dev`.
func (o *options) dataDir() (string, error) {
	for _, dir := range []string{o.data, os.Getenv("TIDEGATE_DATA")} {
		if dir != "" {
			return filepath.Abs(dir)
		}
	}
	return usualDataDir()
}

// usualDataDir is the folder of a dev that nobody told another one.
func usualDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tidegate"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the data folder: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "share", "tidegate"), nil
}

// logger logs to w what --log-level wants.
func (o *options) logger(w io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(strings.ToLower(o.logLevel))
	if err != nil || o.logLevel == "" {
		return zerolog.Nop(), usagef("--log-level: %q is not a level; use trace, debug, info, warn, error or disabled", o.logLevel)
	}
	return zerolog.New(logWriter(w, o.json)).Level(level).With().Timestamp().Logger(), nil
}

// logWriter writes for a person on a terminal, JSON elsewhere.
func logWriter(w io.Writer, asJSON bool) io.Writer {
	if isTerminal(w) && !asJSON {
		return zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !redraws(w)}
	}
	return w
}

// redraws tells whether w is a terminal on which something may be drawn again, and in
// colours: one that says that it is dumb, as that of an editor, can do neither.
func redraws(w any) bool { return isTerminal(w) && os.Getenv("TERM") != "dumb" }

// isTerminal tells whether w is a terminal, where a person reads.
func isTerminal(w any) bool {
	file, ok := bare(w).(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// printJSON writes one value, indented on a terminal, on one line elsewhere.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	if isTerminal(w) {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(value)
}

// printJSONLine writes one value on one line, also on a terminal.
func printJSONLine(w io.Writer, value any) error { return json.NewEncoder(w).Encode(value) }

// A checkedOutput remembers that something could not be written: a full disk is
// not to be taken for a success, whoever wrote to it. Safe for concurrent use if
// its writer is.
type checkedOutput struct {
	io.Writer
	failed atomic.Pointer[error]
}

// Write writes, and keeps the first error.
func (o *checkedOutput) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// err is the first error, nil if everything was written.
func (o *checkedOutput) err() error {
	if failed := o.failed.Load(); failed != nil {
		return fmt.Errorf("writing the output: %w", *failed)
	}
	return nil
}

// bare is what an output writes to, for those who look at what it is.
func bare(w any) any {
	if checked, ok := w.(*checkedOutput); ok {
		return checked.Writer
	}
	return w
}
