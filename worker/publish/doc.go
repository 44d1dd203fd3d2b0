// Package publish sends what the outbox owes to NATS JetStream.
//
//	result + outbox row, one transaction ──> Relay ──> TIDEGATE stream ──> subscribers
//	                                           │
//	                             NATS away: the rows wait
//
// Every message is a CloudEvent 1.0 in binary mode: its attributes are headers,
// its data is the body. Delivery is at least once, always under the same message
// id, so that the stream drops what it has seen in the last minutes and a
// subscriber can drop the rest.
//
// Subjects:
//
//	tidegate.v1.<tenant>.results.<route>.<batch or ->.<request id>
//	tidegate.v1.<tenant>.batches.<batch>.<state>
//	tidegate.v1.circuits.<target>.<open|closed>
//	tidegate.v1.routes.<route>.<paused|resumed>
//	tidegate.v1.budgets.<tenant|route|batch>.<name>.<spent|resumed>
//
// A circuit that opened or closed and a pause that began or ended are told once
// for the whole fleet. A failed probe is no event.
//
// The relay lives in every worker; any number may run beside each other.
//
// The other way round, a Door answers requests: at tidegate.v1.<tenant>.enqueue it has
// what a message says be enqueued, and says what came of it when that is committed.
package publish
