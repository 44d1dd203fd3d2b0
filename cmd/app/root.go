package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
)

// Exit codes of the program.
const (
	exitOK      = 0
	exitFailure = 1 // it was asked rightly and did not succeed
	exitUsage   = 2 // it was asked wrongly: a flag, an argument
	// Of `policy check` alone, where 1 is that the policy is worse.
	exitNoVerdict = 3 // the log cannot tell
	exitUnable    = 4 // there was nothing to be checked with
)

// Execute runs the program with args and returns its exit code. It stops what
// it does, in order, when ctx ends.
func Execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := New()
	root.SetArgs(args)
	out := &checkedOutput{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = out.err()
	}
	if err == nil {
		return exitOK
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "tidegate: %s\nSee '%s --help'.\n", visible(err.Error()), command.CommandPath())
		return exitUsage
	}
	code := exitFailure
	var coded *codedError
	if errors.As(err, &coded) {
		code = coded.code
	}
	var quiet *quietError
	switch {
	case errors.As(err, &quiet):
		if lost := out.err(); lost != nil { // what was to be said instead
			fmt.Fprintf(stderr, "tidegate: %s\n", visible(lost.Error()))
		}
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "tidegate: stopped before it was done")
	default:
		fmt.Fprintf(stderr, "tidegate: %s%s\n", visible(err.Error()), hint(err))
	}
	return code
}

// hint is the remedy of an error that comes from far below: of a database that
// does not have our tables, or has those of an earlier version; and of a request or a
// batch that may have been there.
func hint(err error) string {
	if errors.Is(err, store.ErrNotFound) {
		return "; if it was there, it was removed: what has ended is kept for as long as `retention` of the configuration says"
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && slices.Contains(undefined, refused.Code) {
		return "; the database is not prepared, or not up to date: run `tidegate migrate`"
	}
	return ""
}

// undefined is what Postgres calls a table, a schema, a column and a function
// that are not there.
var undefined = []string{"42P01", "3F000", "42703", "42883"}

// New returns the whole command.
func New() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:   "tidegate",
		Short: "Answers batches of LLM prompts in the background, through any outage",
		Long: `tidegate answers large batches of LLM prompts in the background, once each.
Producers put completion jobs into a Postgres-backed River queue; workers take
them through circuit breakers and a chain of providers; results go out on NATS.
When every provider is down, jobs pause instead of failing, and the backlog
drains by itself afterwards.

Start here:
  tidegate demo      watch it survive an outage (about 40 s, needs nothing)
  tidegate dev       the whole thing on this machine, in one process
  tidegate init      write a configuration for your own providers`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       programVersion(),
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: func(cmd *cobra.Command, args []string) error { return checkGiven(cmd, args) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	o.register(root)
	root.AddGroup(
		&cobra.Group{ID: groupTry, Title: "Try it:"},
		&cobra.Group{ID: groupUse, Title: "Use it:"},
		&cobra.Group{ID: groupRun, Title: "Run it:"},
	)
	root.AddCommand(
		newDemoCommand(o), newDevCommand(o), newInitCommand(o),
		newEnqueueCommand(o), newStatusCommand(o), newWatchCommand(o), newResultsCommand(o), newCancelCommand(o), newRetryCommand(o), newWhyCommand(o), newAttemptsCommand(o), newReplayCommand(o), newPolicyCommand(o),
		newCircuitsCommand(o), newBudgetsCommand(o), newKeysCommand(o), newWebhooksCommand(o), newPauseCommand(o), newResumeCommand(o), newDrillCommand(o),
		newWorkCommand(o), newServeCommand(o), newMigrateCommand(o), newDoctorCommand(o), newPricesCommand(o), newSimulateCommand(o),
		newVersionCommand(o), newManCommand(o),
	)
	root.AddCommand(newTopics()...)
	checkTopics(root)
	completes(root, o)
	return root
}

// checkTopics refuses a command that there is not where cobra's own commands
// would print their help and call it a success.
func checkTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		switch command.Name() {
		case "help":
			command.Args = func(_ *cobra.Command, args []string) error {
				topic, rest, err := root.Find(args)
				if err != nil || topic == root && len(rest) > 0 {
					return noSuchCommand(root, args[0])
				}
				return nil
			}
			offers := command.ValidArgsFunction
			command.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
				names, directive := offers(cmd, args, begun)
				for _, topic := range newTopics() {
					if len(args) == 0 && strings.HasPrefix(topic.Name(), begun) {
						names = append(names, topic.Name()+"\t"+topic.Short)
					}
				}
				return names, directive
			}
		case "completion":
			command.Args, command.RunE = noArguments, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

func noSuchCommand(of *cobra.Command, name string) error {
	return usagef("there is no command %q; %s", name, jobs.DidYouMean(name, verbs(of)))
}

const (
	groupTry = "try"
	groupUse = "use"
	groupRun = "run"
)

// A usageError says that the program was called wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// A quietError fails the program after everything was said already.
type quietError struct{ err error }

func (e *quietError) Error() string { return e.err.Error() }
func (e *quietError) Unwrap() error { return e.err }

// A codedError has the program end with a code of its own.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		if cmd.HasSubCommands() {
			return noSuchCommand(cmd, args[0])
		}
		return usagef("takes no arguments, got %q", args[0])
	}
	return nil
}

func verbs(root *cobra.Command) []string {
	var names []string
	for _, command := range root.Commands() {
		names = append(names, command.Name())
	}
	return names
}

// arguments wants between least and most arguments, described by what.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("takes %s, got %d arguments", what, len(args))
		}
		return nil
	}
}
