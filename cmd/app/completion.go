package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/store"
)

const (
	// completeWithin is how long a shell waits for names at most: then it has none.
	completeWithin = time.Second
	// completed bounds how many batches are offered: the newest.
	completed = 50
)

// A naming lists names of one kind, each perhaps with a tab and a word on it.
type naming func(ctx context.Context, o *options) []string

// completeArgs says what the arguments of a command are names of, and completeFlags the
// values of flags, whatever command has them.
var (
	completeArgs = map[string]naming{
		"pause": routesNamed, "resume": routesNamed, "circuits": targetsNamed, "circuits open": targetsNamed, "circuits close": targetsNamed,
		"cancel": batchIDs, "results": batchIDs, "retry": batchIDs, "why": nil,
		"keys revoke": keyIDs, "webhooks remove": webhookIDs, "webhooks rotate": webhookIDs, "webhooks enable": webhookIDs, "webhooks test": webhookIDs,
	}
	completeFlags = map[string]naming{
		"route": routesNamed, "retire": routesNamed, "target": targetsNamed, "end": targetsNamed, "batch": batchIDs, "tenant": tenantsNamed, "goal": goalsNamed,
		"state": oneOf(statesOf()...), "log-level": oneOf("trace", "debug", "info", "warn", "error", "disabled"), "mode": oneOf(modesOf()...), "class": oneOf(classesOf()...),
		"scope": oneOf(scopesOf()...),
	}
	// yamlFlags name files of a configuration.
	yamlFlags = []string{"config", "against", "policy", "script"}
)

// completes has shells complete the names of what there is: of routes, targets, batches
// and keys. It is quick, and where nothing can be read it offers nothing, and is silent.
func completes(root *cobra.Command, o *options) {
	for _, command := range withChildren(root) {
		path := strings.TrimPrefix(command.CommandPath(), root.Name()+" ")
		if names, known := completeArgs[path]; known {
			command.ValidArgsFunction = o.completion(names)
		} else if !strings.Contains(command.Use, "FILE") && command.ValidArgsFunction == nil {
			command.ValidArgsFunction = cobra.NoFileCompletions
		}
		for name, names := range completeFlags {
			if flag := command.Flags().Lookup(name); flag != nil && flag.Value.Type() != "bool" {
				_ = command.RegisterFlagCompletionFunc(name, o.completion(names)) // an error: there is no such flag
			}
		}
		for _, name := range yamlFlags {
			if command.Flags().Lookup(name) != nil || command.PersistentFlags().Lookup(name) != nil {
				_ = command.MarkFlagFilename(name, "yaml", "yml")
				_ = command.MarkPersistentFlagFilename(name, "yaml", "yml")
			}
		}
	}
}

func withChildren(command *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{command}
	for _, child := range command.Commands() {
		all = append(all, withChildren(child)...)
	}
	return all
}

// completion offers names that begin as what is there, and are not there yet.
func (o *options) completion(names naming) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if names == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		var fit []string
		for _, name := range names(ctx, o) {
			word, _, _ := strings.Cut(name, "\t")
			if strings.HasPrefix(word, begun) && !slices.Contains(args, word) {
				fit = append(fit, visible(name))
			}
		}
		return fit, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func oneOf(all ...string) naming {
	return func(context.Context, *options) []string { return all }
}

func texts[T ~string](all []T) []string {
	said := make([]string, len(all))
	for i, one := range all {
		said[i] = string(one)
	}
	return said
}

func statesOf() []string  { return texts(jobs.States()) }
func scopesOf() []string  { return texts(jobs.KeyScopes()) }
func modesOf() []string   { return texts(jobs.DrillModes()) }
func classesOf() []string { return texts(jobs.Classes()) }

// ask asks the database, if there is one, and says nothing of it if there is none.
func ask[T any](ctx context.Context, o *options, read func(context.Context, *store.Store, *pgxpool.Pool) ([]T, error), name func(*T) string) (names []string) {
	pool, err := o.connect(ctx, 1)
	if err != nil {
		return nil
	}
	defer pool.Close()
	all, err := read(ctx, store.New(pool), pool)
	if err != nil {
		return nil
	}
	for i := range all {
		names = append(names, name(&all[i]))
	}
	return names
}

// also puts names together that are here with those that the database has.
func also(here, there []string) []string {
	for _, name := range there {
		if !slices.Contains(here, name) {
			here = append(here, name)
		}
	}
	slices.Sort(here)
	return here
}

func routesNamed(ctx context.Context, o *options) []string {
	var here []string
	for _, route := range o.anyConfig()().Routes {
		here = append(here, route.Name)
	}
	return also(here, ask(ctx, o, func(ctx context.Context, _ *store.Store, pool *pgxpool.Pool) ([]jobs.Route, error) {
		return store.Routes(ctx, pool)
	},
		func(r *jobs.Route) string { return r.Name }))
}

func targetsNamed(ctx context.Context, o *options) []string {
	var here []string
	for _, target := range o.anyConfig()().Targets {
		here = append(here, target.Name)
	}
	return also(here, ask(ctx, o, func(ctx context.Context, s *store.Store, _ *pgxpool.Pool) ([]jobs.Circuit, error) {
		return s.Circuits(ctx)
	},
		func(c *jobs.Circuit) string { return c.Target }))
}

func batchIDs(ctx context.Context, o *options) []string {
	return ask(ctx, o, func(ctx context.Context, s *store.Store, _ *pgxpool.Pool) ([]jobs.Batch, error) {
		return s.Batches(ctx, completed)
	},
		func(b *jobs.Batch) string {
			return b.ID + "\t" + string(b.State) + ", " + counted(b.Total, "request") + ", " + b.CreatedAt.Local().Format("2 Jan 15:04")
		})
}

func keyIDs(ctx context.Context, o *options) []string {
	return ask(ctx, o, func(ctx context.Context, s *store.Store, _ *pgxpool.Pool) ([]jobs.Key, error) { return s.Keys(ctx, "") },
		func(k *jobs.Key) string { return k.ID + "\t" + oneLine(k.Tenant+" "+k.Name) })
}

func webhookIDs(ctx context.Context, o *options) []string {
	return ask(ctx, o, func(ctx context.Context, s *store.Store, _ *pgxpool.Pool) ([]jobs.Webhook, error) {
		return s.Webhooks(ctx, "")
	},
		func(h *jobs.Webhook) string { return h.ID + "\t" + oneLine(h.Tenant+" "+h.Name) })
}

func tenantsNamed(ctx context.Context, o *options) []string {
	here := []string{jobs.DefaultTenant}
	for _, tenant := range o.anyConfig()().Tenants {
		here = also(here, []string{tenant.Name})
	}
	return also(here, ask(ctx, o, func(ctx context.Context, s *store.Store, _ *pgxpool.Pool) ([]jobs.Key, error) { return s.Keys(ctx, "") },
		func(k *jobs.Key) string { return k.Tenant }))
}

func goalsNamed(_ context.Context, o *options) []string {
	return also(routing.Goals(), o.anyConfig()().AllGoals())
}
