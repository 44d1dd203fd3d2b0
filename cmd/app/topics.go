package app

import "github.com/spf13/cobra"

// newTopics are what help tells beside the commands.
func newTopics() []*cobra.Command {
	return []*cobra.Command{
		{
			Use:   "exit-codes",
			Short: "What the program's exit codes say",
			Long: `The exit code of every command:

  0  it was done
  1  it was asked rightly, and was not done, or not wholly. The standard error says
     why. Of some commands that is an answer:
       enqueue --wait   at least one request got no answer
       doctor           something is wrong
       migrate --check  something is missing
       prices check     the table cannot be used
       policy check     the policy is worse than it may be
  2  it was asked wrongly: a command, a flag or an argument that there is not
  3  of policy check: the log cannot tell
  4  of policy check: there was nothing to be checked with

A command that is stopped, by Ctrl-C or SIGTERM, ends what it does in order. One that
would go on for ever, as work, serve, dev, watch and status --watch, ends with 0 then;
any other with 1, if it was not done. A second signal ends it at once, with 128 and
the number of the signal, as a shell has it: 130 for Ctrl-C, 143 for SIGTERM.

What a command prints for programs is on its standard output, and nothing else is;
words for people, progress and warnings are on the standard error.`,
		},
		{
			Use:   "environment",
			Short: "Which variables of the environment are read",
			Long: `Variables that every command reads, if no flag says otherwise:

  TIDEGATE_CONFIG   the configuration file; else ./tidegate.yaml, if there is one
  TIDEGATE_DATA     the folder of dev; else ` + shownDefaultData + `
  TIDEGATE_PG_BIN   the folder with initdb and postgres, for dev and demo
  DATABASE_URL      where Postgres is, if the configuration says nothing of it
  NATS_URL          where NATS is, likewise
  NO_COLOR          set to anything: no colours in status --watch
  TRACEPARENT       the span to which belongs what enqueue and retry make
  OTEL_…            where work, serve, dev, enqueue and retry send traces: see docs/OPERATING.md

The configuration itself names others, as ${OPENAI_API_KEY}: what stands in such a
bracket is taken from the environment, and ${NAME:-default} has a default. The usual
PG* variables of Postgres' own programs count where a URL leaves something open.`,
		},
	}
}
