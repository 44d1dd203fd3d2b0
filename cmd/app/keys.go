package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
)

func newKeysCommand(o *options) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "keys",
		GroupID: groupUse,
		Short:   "List API keys, or create and revoke one",
		Long: `keys shows who may come in over HTTP. As long as no key was ever created, the
server lets in who comes from its own machine, and nobody else; from the first one
on, everybody needs a key. A key is of one tenant, and sees that tenant's files,
batches and results alone.

Scopes: submit makes and cancels files, batches and jobs; read lists them and reads
what came of them; admin sees and steers the whole fleet.

Postgres keeps a hash: a key is shown when it is created, and never again.`,
		Example: `  tidegate keys
  tidegate keys create --tenant acme --name "nightly labels"
  tidegate keys create --tenant acme --scope read --expires 90d
  tidegate keys revoke 5f0c9a3be1d24c77`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return checkTenant(tenant) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
				keys, err := s.Keys(ctx, tenant)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"keys": viewKeys(keys)})
				}
				return writeKeys(cmd.OutOrStdout(), keys)
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the keys of this tenant alone")
	cmd.AddCommand(newKeysCreateCommand(o), newKeysRevokeCommand(o))
	return cmd
}

func newKeysCreateCommand(o *options) *cobra.Command {
	key, scopes, expires := jobs.Key{}, []string(nil), ""
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create an API key, and show it once",
		Long: `create makes a key and prints it on a line of its own. Keep it where you keep
passwords: nobody can read it again. Official OpenAI SDKs take it as OPENAI_API_KEY,
beside OPENAI_BASE_URL=http://HOST:8080/v1.`,
		Example: `  tidegate keys create --tenant acme --name "nightly labels"
  OPENAI_API_KEY=$(tidegate keys create --tenant acme --quiet)`,
		Args: noArguments,
	}
	var quiet bool
	cmd.PreRunE = func(*cobra.Command, []string) error { return readKey(&key, scopes, expires, time.Now()) }
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
			made, whole, err := s.CreateKey(ctx, key)
			switch {
			case err != nil:
				return err
			case o.json:
				return printJSON(cmd.OutOrStdout(), createdKey{viewKey(&made), whole})
			}
			fmt.Fprintln(cmd.OutOrStdout(), whole)
			if !quiet {
				fmt.Fprintf(cmd.ErrOrStderr(), "Key %s of %s, scopes %s. It is shown this once.\n", made.ID, made.Tenant, joinScopes(made.Scopes))
			}
			return nil
		})
	}
	flags := cmd.Flags()
	flags.StringVar(&key.Tenant, "tenant", jobs.DefaultTenant, "whose key it is")
	flags.StringVar(&key.Name, "name", "", "what people call it")
	flags.StringSliceVar(&scopes, "scope", []string{string(jobs.ScopeSubmit), string(jobs.ScopeRead)}, "what it is good for: submit, read, admin")
	flags.StringVar(&expires, "expires", "", "how long it is good, as in 90d (default: until it is revoked)")
	flags.BoolVarP(&quiet, "quiet", "q", false, "print the key alone")
	return cmd
}

// maxKeyName bounds what people call a key.
const maxKeyName = 128

// readKey checks what is asked for.
func readKey(key *jobs.Key, scopes []string, expires string, now time.Time) error {
	if key.Tenant == "" {
		return usagef("--tenant: must not be empty")
	}
	if err := checkTenant(key.Tenant); err != nil {
		return err
	}
	if len(key.Name) > maxKeyName || strings.ContainsFunc(key.Name, func(r rune) bool { return r < ' ' }) {
		return usagef("--name: must be one line of at most %d bytes", maxKeyName)
	}
	key.Scopes = nil
	for _, scope := range scopes {
		if !slices.Contains(jobs.KeyScopes(), jobs.KeyScope(scope)) {
			return usagef("--scope: there is no scope %q; there are %s", scope, joinScopes(jobs.KeyScopes()))
		}
		if !slices.Contains(key.Scopes, jobs.KeyScope(scope)) {
			key.Scopes = append(key.Scopes, jobs.KeyScope(scope))
		}
	}
	if len(key.Scopes) == 0 {
		return usagef("--scope: a key needs one of %s", joinScopes(jobs.KeyScopes()))
	}
	if expires == "" {
		return nil
	}
	span, err := jobs.ParseDuration(expires)
	if err != nil || span <= 0 {
		return usagef("--expires: %q is not a time like 12h or 90d", expires)
	}
	key.ExpiresAt = now.Add(span)
	return nil
}

func newKeysRevokeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Have a key let nobody in any more",
		Long: `revoke ends a key: servers that have just let it in do so for a few seconds more.
What came in with it stays.`,
		Example: `  tidegate keys revoke 5f0c9a3be1d24c77`,
		Args:    arguments(1, 1, "the id of one key, which `tidegate keys` lists"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
				err := s.RevokeKey(ctx, args[0])
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("there is no key %q; `tidegate keys` lists them by their ids", args[0])
				}
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"id": args[0], "revoked": true})
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Revoked %s.\n", args[0])
				return nil
			})
		},
	}
}

// onStore does something on the database, with one connection.
func (o *options) onStore(cmd *cobra.Command, do func(context.Context, *store.Store) error) error {
	pool, err := o.connect(cmd.Context(), 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(cmd.Context(), store.New(pool))
}

// A keyView is a key as JSON shows it, without its secret.
type keyView struct {
	ID        string          `json:"id"`
	Tenant    string          `json:"tenant"`
	Name      string          `json:"name,omitempty"`
	Scopes    []jobs.KeyScope `json:"scopes"`
	State     string          `json:"state"` // good, expired or revoked
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	RevokedAt time.Time       `json:"revoked_at,omitzero"`
	UsedAt    time.Time       `json:"used_at,omitzero"` // to the minute
}

// createdKey is the one view that has the whole key.
type createdKey struct {
	keyView
	Key string `json:"key"`
}

func viewKey(k *jobs.Key) keyView {
	view := keyView{
		ID: k.ID, Tenant: k.Tenant, Name: k.Name, Scopes: k.Scopes, State: "good", CreatedAt: k.CreatedAt,
		ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, UsedAt: k.UsedAt,
	}
	switch {
	case !k.RevokedAt.IsZero():
		view.State = "revoked"
	case !k.ExpiresAt.IsZero() && !time.Now().Before(k.ExpiresAt):
		view.State = "expired"
	}
	return view
}

func viewKeys(keys []jobs.Key) []keyView {
	views := make([]keyView, len(keys))
	for i := range keys {
		views[i] = viewKey(&keys[i])
	}
	return views
}

func writeKeys(w io.Writer, keys []jobs.Key) error {
	if len(keys) == 0 {
		fmt.Fprintln(w, "There is no API key: who comes from the server's own machine is let in, and nobody else.")
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "KEY\tTENANT\tSTATE\tSCOPES\tCREATED\tLAST USED\tNAME")
	for _, k := range viewKeys(keys) {
		used := "never"
		if !k.UsedAt.IsZero() {
			used = k.UsedAt.UTC().Format(time.DateTime + "Z")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, k.State, joinScopes(k.Scopes), k.CreatedAt.UTC().Format(time.DateOnly), used, cmp.Or(k.Name, "-"))
	}
	return table.Flush()
}

func joinScopes(scopes []jobs.KeyScope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, ",")
}
