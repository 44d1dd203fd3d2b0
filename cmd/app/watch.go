package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/routing/prices"
	"tidegate/worker/publish"
)

type watchFlags struct {
	route, batch, tenant, name string
	fromStart                  bool
	count                      int
}

func newWatchCommand(o *options) *cobra.Command {
	f := &watchFlags{}
	cmd := &cobra.Command{
		Use:     "watch",
		GroupID: groupUse,
		Short:   "Follow results as they are published on NATS",
		Long: `watch follows the stream of results with a durable consumer, one for each choice
of --route, --batch and --tenant: started again it goes on where it stopped, and
misses nothing; with --from-start it begins again with the oldest event that the
stream keeps. The first time without it, it begins with what comes from now on.
A consumer that nobody used for a week is forgotten. On a terminal, a line on the standard
error says each minute when the --batch or the --route will be done.`,
		Example: `  tidegate watch --from-start
  tidegate watch --route summaries --json | jq -r .response.choices[0].message.content
  tidegate watch --batch batch_01a20aa4c8c97515ab796077d867f88c`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return f.check() },
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.watch(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.route, "route", "", "only of this route")
	flags.StringVar(&f.batch, "batch", "", "only of this batch")
	flags.StringVar(&f.tenant, "tenant", "", "only of this tenant")
	flags.StringVar(&f.name, "name", "", "name of the durable consumer (default: one for each choice of the flags above)")
	flags.BoolVar(&f.fromStart, "from-start", false, "begin with the oldest event that the stream keeps")
	flags.IntVar(&f.count, "count", 0, "stop after this many; 0: go on")
	return cmd
}

func (o *options) watch(cmd *cobra.Command, f *watchFlags) error {
	config, err := o.loadBeside(prices.Shipped())
	if err != nil {
		return err
	}
	where := o.endpoints(config)
	if where.nats == "" {
		return o.nowhere("NATS", "--nats-url, $NATS_URL or `nats:` in the configuration")
	}
	conn, err := dialNATS(where.nats, "tidegate watch", true, zerolog.Nop())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("preparing JetStream: %w", err)
	}
	if err := f.lookUp(cmd.Context(), where.postgres, js, cmd.ErrOrStderr()); err != nil {
		return err
	}
	consumer, err := f.consumer(cmd.Context(), js)
	if err != nil {
		return err
	}
	ctx, done := whileRead(cmd.Context(), cmd.OutOrStdout())
	defer done()
	stop := o.foretell(ctx, cmd.ErrOrStderr(), where.postgres, f)
	defer stop()
	return o.follow(ctx, cmd.OutOrStdout(), consumer, f.count)
}

// forgotten is after how long without use a watch's consumer is removed.
const forgotten = 7 * 24 * time.Hour

// consumer makes the durable consumer, or finds it where it stopped.
func (f *watchFlags) consumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	subject := publish.ResultFilter(f.tenant, f.route, f.batch)
	name := f.name
	if name == "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(subject))
		name = fmt.Sprintf("watch-%08x", h.Sum32())
	}
	old, err := js.Consumer(ctx, publish.StreamName, name)
	switch {
	case err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, explainStream(err)
	case err == nil && old.CachedInfo().NumWaiting > 0:
		return nil, fmt.Errorf("somebody else watches under the name %s, and each would see only a part; choose another with --name", name)
	case err == nil && !f.fromStart:
		return old, nil
	case err == nil:
		if err := js.DeleteConsumer(ctx, publish.StreamName, name); err != nil {
			return nil, fmt.Errorf("starting the consumer %s over: %w", name, err)
		}
	}
	from := jetstream.DeliverNewPolicy
	if f.fromStart {
		from = jetstream.DeliverAllPolicy
	}
	made, err := js.CreateConsumer(ctx, publish.StreamName, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: subject, DeliverPolicy: from, AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: forgotten,
	})
	if err != nil {
		return nil, fmt.Errorf("making the consumer %s: %w", name, err)
	}
	return made, nil
}

// follow prints events until ctx ends or count were printed (zero: no end).
func (o *options) follow(ctx context.Context, out io.Writer, consumer jetstream.Consumer, count int) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return fmt.Errorf("following the stream: %w", err)
	}
	defer giveBack(messages)
	stop := context.AfterFunc(ctx, messages.Drain)
	defer stop()
	for n := 0; count == 0 || n < count; n++ {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("following the stream: %w", err)
		}
		if err := o.printEvent(out, msg.Data()); err != nil {
			return err
		}
		if err := msg.Ack(); err != nil {
			fmt.Fprintln(os.Stderr, "tidegate: an event was not acknowledged and may come again:", err)
		}
	}
	return nil
}

// giveBack ends a subscription and returns what it fetched ahead and nobody
// read: else the next watch would miss it until its acknowledgement is overdue.
func giveBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		msg, err := messages.Next()
		if err != nil {
			return
		}
		_ = msg.Nak() // if it is lost, the event comes again later
	}
}

func (o *options) printEvent(out io.Writer, data []byte) error {
	if o.json {
		_, err := fmt.Fprintf(out, "%s\n", data)
		return err
	}
	var e publish.ResultBody
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	_, err := fmt.Fprintln(out, eventLine(&e))
	return err
}

// eventLine is an event on one line, for a person.
func eventLine(e *publish.ResultBody) string {
	who := e.CustomID
	if who == "" {
		who = e.RequestID
	}
	said := answerText(e.Response)
	switch {
	case e.State != jobs.StateAnswered && e.Error != nil:
		said = fmt.Sprintf("%s %s", e.Error.Code, e.Error.Message)
	case e.Response == nil:
		said = "(a large answer: `tidegate results " + e.RequestID + "`)"
	}
	cost := "unknown"
	if e.CostMicroUSD != nil {
		cost = e.CostMicroUSD.String()
	}
	return fmt.Sprintf("%s  %-9s %-12s %10s  %s: %s", e.StoredAt.Local().Format("15:04:05.000"), e.State, e.Target, cost, oneLine(who), shorten(said, 100))
}
