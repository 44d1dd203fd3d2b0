package integration

import (
	"testing"

	"github.com/openai/openai-go/v3"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// The table that ships knows what embeddings cost, of the input alone: a batch of them
// under a budget is called, and what it costs is kept to.
func TestBudgetOfEmbeddings(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{config: func(conf *config.Config) {
		conf.Targets = conf.Targets[:1]
		conf.Routes[0].Chain = conf.Routes[0].Chain[:1]
		one := &conf.Targets[0]
		one.Price, one.PricedAs, one.Endpoints = nil, "openai/text-embedding-3-large", []string{jobs.EndpointEmbeddings.Name()}
	}})
	client := f.client()
	order := func(dollars string) *openai.Batch {
		file := f.upload(client, linesAt(jobs.EndpointEmbeddings, 12))
		batch, err := client.Batches.New(t.Context(), openai.BatchNewParams{
			InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1Embeddings, CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
			Metadata: map[string]string{"tidegate.max_cost_usd": dollars},
		})
		check(t, err)
		return batch
	}
	batch := f.poll(client, order("0.01").ID, openai.BatchStatusCompleted)
	f.wholeBatch(client, batch, 12)
	want := jobs.Price{Input: 130_000}.Cost(jobs.Usage{Input: int(batch.Usage.InputTokens)})
	// Each call is rounded to the nearest micro-USD.
	if got := jobs.MicroUSD(f.costs()); batch.Usage.InputTokens == 0 || got < want-6 || got > want+6 || f.count("SELECT count(*) FROM tidegate.attempts WHERE unpriced") != 0 {
		t.Errorf("%d tokens cost %s, want about %s", batch.Usage.InputTokens, got, want)
	}
	poor := order("0.000001") // less than one of them costs
	fixture.Await(t, soon, "the second batch waits for money", func() bool {
		b := f.budgets()["batch "+poor.ID]
		return b.State == "short" && b.Waiting == 12 && b.Dearest != nil && *b.Dearest > 1
	})
}
