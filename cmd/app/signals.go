package app

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Until returns a context that ends when somebody stops the command that args
// name: by Ctrl-C or SIGTERM, of which a second one ends the program at once. A
// command in the foreground is stopped by the end of its terminal (SIGHUP), too,
// unless it was started to outlive it, as with nohup; one that runs in the
// background takes it for another word, see hangups. It is for a program as a
// whole, and holds until that is no more: a terminal that closes may say it twice,
// and the second word must not end what has come to its end in order.
func Until(parent context.Context, args []string) context.Context {
	ctx, release := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	name := commandOf(args)
	if name == "drill" { // what it says to a pipe that nobody reads must not end it with the drill still on
		signal.Ignore(syscall.SIGPIPE)
	}
	switch {
	case signal.Ignored(syscall.SIGHUP):
	case endsWithTerminal(name):
		ctx, _ = signal.NotifyContext(ctx, syscall.SIGHUP)
	default:
		hangups() // one that comes before the command hears it must not end it
	}
	context.AfterFunc(ctx, release)
	return ctx
}

// hangups is told of SIGHUP, until stop. It is never told where SIGHUP is ignored,
// as under nohup.
func hangups() (heard <-chan os.Signal, stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return nil, func() {}
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	return told, func() { signal.Stop(told) }
}

// endsWithTerminal tells whether SIGHUP stops a command in order. Those that run in
// the background read their configuration again, as other daemons do.
func endsWithTerminal(name string) bool {
	return !slices.Contains([]string{"work", "serve", "dev"}, name)
}

// commandOf is the command that args name, without those above it; of wrong
// arguments it is the program's.
func commandOf(args []string) string {
	command, _, err := New().Find(args)
	if err != nil || command == nil {
		return ""
	}
	_, name, _ := strings.Cut(command.CommandPath(), " ")
	return name
}
