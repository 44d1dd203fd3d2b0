// Command doors measures how fast requests are accepted, by every door that there is,
// through the built program as `tidegate serve` and `tidegate work`, each beside what
// could not be left away:
//
//	POST /v1/jobs              beside  an INSERT of the same two rows, in one statement
//	enqueue over NATS          beside  the same
//	POST /v1/jobs:batch        beside  an INSERT of as many rows, in one statement
//	POST /v1/chat/completions  beside  the same call to the provider itself
//
// So many senders each send their next request as soon as the last one is acknowledged,
// for some seconds a door and round. Rates are requests a second; latencies are of a
// call, from when it is sent until the answer was read. Postgres is durable, so each
// acknowledged call waited for the disk. The route is paused, but for chats: nothing is
// answered meanwhile. At the end what was acknowledged must be in the queue, all of it,
// and no more.
package main
