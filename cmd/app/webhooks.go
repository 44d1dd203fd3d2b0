package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/webhook"
)

func newWebhooksCommand(o *options) *cobra.Command {
	cmd := newWebhooksListCommand(o, "webhooks")
	cmd.GroupID = groupUse
	cmd.Short = "List webhooks, or create, try and remove one"
	cmd.Long = fmt.Sprintf(`webhooks shows who is told over HTTP that a batch has ended, and how that goes. What
is sent is signed as Standard Webhooks has it, so that the official OpenAI SDKs take
it (client.webhooks.unwrap). An event that does not arrive is tried %d times in three
days. A webhook is of one tenant, and told of all of that tenant's batches, however
they came.

States: good; retrying, the last try failed; failing, an event was given up and none
has arrived since; disabled, its receiver answered 410 and is told nothing.`, webhook.Tries())
	cmd.Example = `  tidegate webhooks
  tidegate webhooks create https://example.com/hooks/batches --tenant acme
  tidegate webhooks test we_0199f0c2a6f57cc0a4b5d6e7f8091a2b
  tidegate webhooks remove we_0199f0c2a6f57cc0a4b5d6e7f8091a2b`
	list := newWebhooksListCommand(o, "list")
	list.Short = "List webhooks"
	list.Long = "list shows which receivers are told of the ends of batches, and how that goes: it is\nwhat `tidegate webhooks` does by itself."
	list.Example = "  tidegate webhooks list\n  tidegate webhooks list --tenant acme --json"
	cmd.AddCommand(newWebhooksCreateCommand(o), list, newWebhooksTestCommand(o), newWebhooksRotateCommand(o), newWebhooksEnableCommand(o), newWebhooksRemoveCommand(o))
	return cmd
}

func newWebhooksListCommand(o *options, name string) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     name,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return checkTenant(tenant) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
				hooks, err := s.Webhooks(ctx, tenant)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"webhooks": viewWebhooks(hooks)})
				}
				return writeWebhooks(cmd.OutOrStdout(), hooks)
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the webhooks of this tenant alone")
	return cmd
}

func newWebhooksCreateCommand(o *options) *cobra.Command {
	hook, events, quiet := jobs.Webhook{}, []string(nil), false
	cmd := &cobra.Command{
		Use:   "create URL",
		Short: "Create a webhook, and show its secret once",
		Long: `create makes a webhook and prints the secret that signs what it is sent, on a line
of its own. Keep it where you keep passwords: nobody can read it again. Official
OpenAI SDKs take it as OPENAI_WEBHOOK_SECRET.

The URL is https, and leads to the public internet. --allow-private lets it lead to
this machine or into a private network, too, and be http there. Redirects are not
followed. Put no password into the URL; its query is not shown again.`,
		Example: `  tidegate webhooks create https://example.com/hooks/batches --tenant acme
  tidegate webhooks create http://10.0.0.7:9000/done --allow-private --event batch.completed --event batch.expired
  OPENAI_WEBHOOK_SECRET=$(tidegate webhooks create https://example.com/hooks --quiet)`,
		Args: arguments(1, 1, "the URL to send events to"),
	}
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		hook.URL = jobs.Secret(args[0])
		hook.Events = nil
		for _, event := range events {
			hook.Events = append(hook.Events, jobs.WebhookEvent(event))
		}
		if err := hook.Validate(); err != nil {
			return usagef("%w", err)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
			made, secret, err := s.CreateWebhook(ctx, hook, store.Once{})
			switch {
			case err != nil:
				return err
			case o.json:
				return printJSON(cmd.OutOrStdout(), createdWebhook{viewWebhook(&made), secret.Reveal()})
			}
			fmt.Fprintln(cmd.OutOrStdout(), secret.Reveal())
			if !quiet {
				fmt.Fprintf(cmd.ErrOrStderr(), "Webhook %s of %s. Its secret is shown this once; `tidegate webhooks test %s` tries it.\n", made.ID, made.Tenant, made.ID)
			}
			return nil
		})
	}
	all := make([]string, 0, len(jobs.WebhookEvents()))
	for _, event := range jobs.WebhookEvents() {
		all = append(all, string(event))
	}
	flags := cmd.Flags()
	flags.StringVar(&hook.Tenant, "tenant", jobs.DefaultTenant, "whose batches it is told of")
	flags.StringVar(&hook.Name, "name", "", "what people call it")
	flags.StringSliceVar(&events, "event", all, "what it is told of")
	flags.BoolVar(&hook.Private, "allow-private", false, "let it lead into private networks and to this machine, by http, too")
	flags.BoolVarP(&quiet, "quiet", "q", false, "print the secret alone")
	return cmd
}

func newWebhooksRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID",
		Short:   "Have a webhook be told nothing any more",
		Long:    `remove deletes a webhook with its secret. What it is still owed is given up.`,
		Example: `  tidegate webhooks remove we_0199f0c2a6f57cc0a4b5d6e7f8091a2b`,
		Args:    arguments(1, 1, "the id of one webhook, which `tidegate webhooks` lists"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onWebhook(cmd, args[0], "removed", func(ctx context.Context, s *store.Store) error { return s.RemoveWebhook(ctx, args[0], "") })
		},
	}
}

func newWebhooksRotateCommand(o *options) *cobra.Command {
	var keep time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a webhook another secret, and show it once",
		Long: `rotate prints the new secret on a line of its own. The old one ends at once, or
signs beside the new one for as long as --keep-old says: receivers that check all
signatures of the header, as official SDKs do, take either.`,
		Example: `  tidegate webhooks rotate we_0199f0c2a6f57cc0a4b5d6e7f8091a2b --keep-old 24h`,
		Args:    arguments(1, 1, "the id of one webhook, which `tidegate webhooks` lists"),
		PreRunE: func(*cobra.Command, []string) error { return checkSpan("--keep-old", keep, "not at all") },
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
				secret, err := s.RotateWebhook(ctx, args[0], "", keep)
				switch {
				case err != nil:
					return unknownWebhook(err, args[0])
				case o.json:
					return printJSON(cmd.OutOrStdout(), map[string]any{"id": args[0], "signing_secret": secret.Reveal()})
				}
				fmt.Fprintln(cmd.OutOrStdout(), secret.Reveal())
				return nil
			})
		},
	}
	spanVar(cmd.Flags(), &keep, "keep-old", 0, "how long the old secret signs, too, as in 24h")
	return cmd
}

func newWebhooksEnableCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "enable ID",
		Short: "Have a webhook be told again that is disabled",
		Long: `enable has a webhook be told of what happens from now on, with the secret that it
has. What happened while it was disabled it is not told.`,
		Example: `  tidegate webhooks enable we_0199f0c2a6f57cc0a4b5d6e7f8091a2b`,
		Args:    arguments(1, 1, "the id of one webhook, which `tidegate webhooks` lists"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onWebhook(cmd, args[0], "enabled", func(ctx context.Context, s *store.Store) error { return s.EnableWebhook(ctx, args[0]) })
		},
	}
}

// onWebhook changes one webhook, and says so.
func (o *options) onWebhook(cmd *cobra.Command, id, done string, change func(context.Context, *store.Store) error) error {
	return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
		if err := change(ctx, s); err != nil {
			return unknownWebhook(err, id)
		}
		if o.json {
			return printJSON(cmd.OutOrStdout(), map[string]any{"id": id, done: true})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is %s.\n", id, done)
		return nil
	})
}

// unknownWebhook says what to do about an id of no webhook.
func unknownWebhook(err error, id string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no webhook %q; `tidegate webhooks` lists them by their ids", id)
	}
	return err
}

const (
	// trialWithin is how long a worker has to send what a person tries a webhook with.
	trialWithin = 20 * time.Second
	trialEvery  = 100 * time.Millisecond
)

func newWebhooksTestCommand(o *options) *cobra.Command {
	var event string
	cmd := &cobra.Command{
		Use:   "test ID",
		Short: "Send a webhook an event of a batch that there is not",
		Long: `test has a worker send one signed event, once, as it would send any other, and says
whether it arrived. Its batch is batch_test. What webhooks shows does not change by it.`,
		Example: `  tidegate webhooks test we_0199f0c2a6f57cc0a4b5d6e7f8091a2b
  tidegate webhooks test we_0199f0c2a6f57cc0a4b5d6e7f8091a2b --event batch.expired`,
		Args: arguments(1, 1, "the id of one webhook, which `tidegate webhooks` lists"),
		PreRunE: func(*cobra.Command, []string) error {
			if err := jobs.CheckWebhookEvents([]jobs.WebhookEvent{jobs.WebhookEvent(event)}); err != nil {
				return usagef("%w", err)
			}
			return nil
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.onStore(cmd, func(ctx context.Context, s *store.Store) error {
			job, err := s.TryWebhook(ctx, args[0], jobs.WebhookEvent(event))
			if err != nil {
				return unknownWebhook(err, args[0])
			}
			if err := awaitTrial(ctx, s, job); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"id": args[0], "event": event, "arrived": true})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "It arrived: %s took a %s.\n", args[0], event)
			return nil
		})
	}
	cmd.Flags().StringVar(&event, "event", string(jobs.WebhookBatchCompleted), "which event to send")
	return cmd
}

// awaitTrial waits until a worker has tried.
func awaitTrial(ctx context.Context, s *store.Store, job int64) error {
	until := time.Now().Add(trialWithin)
	ticker := time.NewTicker(trialEvery)
	defer ticker.Stop()
	for {
		trial, err := s.Trial(ctx, job)
		switch {
		case err != nil:
			return err
		case trial.Over && trial.Fault == "":
			return nil
		case trial.Over:
			return fmt.Errorf("it did not arrive: %s", trial.Fault)
		case time.Now().After(until):
			return fmt.Errorf("no worker has sent it within %s: is one running? `tidegate status` lists them; it is sent when one does", trialWithin)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
