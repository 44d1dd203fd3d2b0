package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/integration/fixture"
)

// A subscriber needs nats.go and nothing of tidegate. Its consumer is durable:
// the server remembers how far it came, also while it is not running.
func Example() {
	ctx := context.Background()
	url, closeNATS := natsWithAResult()
	defer closeNATS()

	conn, err := nats.Connect(url)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	archive, err := js.CreateOrUpdateConsumer(ctx, "TIDEGATE", jetstream.ConsumerConfig{
		Durable:       "archive",
		FilterSubject: "tidegate.v1.*.results.summaries.>",
	})
	if err != nil {
		log.Fatal(err)
	}

	msg, err := archive.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		log.Fatal(err)
	}
	var result struct {
		CustomID string          `json:"custom_id"`
		State    string          `json:"state"`
		Response json.RawMessage `json:"response"` // an OpenAI chat completion
	}
	if err := json.Unmarshal(msg.Data(), &result); err != nil {
		log.Fatal(err)
	}
	fmt.Println(msg.Headers().Get("ce-type"))
	fmt.Println(result.CustomID, "was", result.State+":", string(result.Response))
	if err := msg.Ack(); err != nil { // until then it comes again
		log.Fatal(err)
	}

	// Output:
	// dev.tidegate.result.v1
	// doc-0 was answered: {"choices":[]}
}

// natsWithAResult is a server to which a worker has published one result.
func natsWithAResult() (url string, end func()) {
	t, end := fixture.Example()
	s := newSite(t)
	_, stop := s.relay()
	s.owe(1)
	s.awaitOwed(0)
	stop()
	return s.nats.URL(), end
}
