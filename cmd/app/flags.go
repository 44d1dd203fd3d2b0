package app

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tidegate/jobs"
)

const maxPort = 65535

// A span is a flag's time as people write one for background work: 90s, 24h, 7d.
type span time.Duration

// spanVar gives a command a flag of such a time, with what it is if nobody says.
func spanVar(flags *pflag.FlagSet, into *time.Duration, name string, value time.Duration, usage string) {
	*into = value
	flags.Var((*span)(into), name, usage)
}

// Set reads it.
func (s *span) Set(text string) error {
	d, err := jobs.ParseDuration(text)
	*s = span(d)
	return err
}

// String writes it; a zero is what flags leave out of their help.
func (s *span) String() string {
	if *s == 0 {
		return "0"
	}
	return time.Duration(*s).String()
}

// Type names it in the help.
func (*span) Type() string { return "duration" }

// flagError says of a value that its flag does not take what it would take,
// instead of which function of Go refused it.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return &usageError{err}
	}
	flag, value := invalid.GetFlag(), invalid.GetValue()
	takes := map[string]string{
		"bool":           "neither true nor false",
		"float64":        "not a number, as in 0.5",
		"int":            "not a whole number, as in 20",
		"stringToString": "not key=value",
		"uint64":         "not a whole number from 0, as in 20",
	}[flag.Value.Type()]
	switch {
	case takes == "": // a type of ours, which says what it takes
		return usagef("--%s: %w", flag.Name, invalid.Unwrap())
	case errors.Is(err, strconv.ErrRange):
		return usagef("--%s: %q is too large a number", flag.Name, value)
	default:
		return usagef("--%s: %q is %s", flag.Name, value, takes)
	}
}

// checkCount refuses a count below zero. zero says what zero means.
func checkCount(flag string, n int, zero string) error {
	if n < 0 {
		return usagef("%s: %d is below zero; use a number from 1, or 0 for %s", flag, n, zero)
	}
	return nil
}

// checkSpan refuses a time below zero. zero says what leaving it out means.
func checkSpan(flag string, span time.Duration, zero string) error {
	if span < 0 {
		return usagef("%s: %s is below zero; use a time like 10m or 24h, or leave it out for %s", flag, span, zero)
	}
	return nil
}

// checkZero refuses a zero that was given where leaving the flag out means something else
// than nothing: a limit of 0 is not to be no limit.
func checkZero(flags *pflag.FlagSet, name, zero string) error {
	if flag := flags.Lookup(name); flag.Changed && flag.Value.String() == "0" {
		return usagef("--%s: must be above zero; leave it out for %s", name, zero)
	}
	return nil
}

// checkTenant refuses what no request can have.
func checkTenant(tenant string) error {
	if tenant == "" {
		return nil
	}
	if err := jobs.CheckName(tenant); err != nil {
		return usagef("--tenant: %w", err)
	}
	return nil
}

// checkMetadata refuses what no request can carry.
func checkMetadata(pairs map[string]string) error {
	if err := jobs.CheckMetadata(pairs); err != nil {
		return usagef("--%w", err) // it begins with the field, which is the flag
	}
	return nil
}

// checkPort refuses what is no port; zero is any free one.
func checkPort(flag string, port int) error {
	if port < 0 || port > maxPort {
		return usagef("%s: %d is not a port; use 1 to %d, or 0 for any free one", flag, port, maxPort)
	}
	return nil
}

// checkAddress refuses what is not host:port.
func checkAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("%s: %q is not host:port, as in 127.0.0.1:8080", flag, address)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return usagef("%s: the port of %q is not a number", flag, address)
	}
	return checkPort(flag, n)
}

// firstError is the first of some checks that failed.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// chosen names the flags that were given, of those that a command cannot use
// together with another.
func chosen(changed func(name string) bool, names ...string) string {
	for _, name := range names {
		if changed(name) {
			return fmt.Sprintf("--%s", name)
		}
	}
	return ""
}

// checkGiven refuses arguments and flags that are there and empty: mostly a
// shell's variable that is not set. What it would have chosen must not become
// everything, nor a database that it would have named another one.
func checkGiven(cmd *cobra.Command, args []string) error {
	if name := cmd.Name(); name == cobra.ShellCompRequestCmd || name == cobra.ShellCompNoDescRequestCmd {
		return nil // a shell asks for a word that has yet to begin
	}
	if slices.Contains(args, "") {
		return usagef("an argument is empty: is a variable not set?")
	}
	var empty error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Value.Type() == "string" && flag.Value.String() == "" {
			empty = usagef("--%s: is empty; leave it out, or is a variable not set?", flag.Name)
		}
	})
	return empty
}
