// Package tracing tells OpenTelemetry what became of requests, by the conventions for GenAI.
//
//	POST /v1/jobs (server)           the header traceparent of whoever sent it is its parent
//	  └─ process summaries (consumer)   one try of a request in a worker, from its first call on
//	       ├─ chat m-1 (client)            a call, with its class if it failed
//	       ├─ chat m-2 (client)            the failover, with a link to the call before
//	       └─ publish result (producer)    from the result until NATS has its event
//
//	enqueue summaries (producer)     a command of a shell; its $TRACEPARENT is its parent
//	  ├─ process summaries (consumer)   as above, of each request
//	  └─ publish batch (producer)       from the end of the batch until NATS has its event
//
// What there is between them is a traceparent that stands with the request. Spans are made
// when what they are of is written down, with the times of then: nothing waits for them.
// The ids of two spans can be told from the request, so that a relay in another process
// names the right parent. Off by default: see New. There is no prompt in any of it, no
// answer, no key and no message of a provider.
package tracing
