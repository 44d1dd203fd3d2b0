// Command throughput measures what tidegate costs beside plain River: the same
// jobs, the same HTTP call to the same simulated provider, in the same run,
// taken in turns, each from a fresh database. Plain River stores nothing and
// tells nobody; tidegate stores the request, the result and the attempt, and
// publishes an event.
//
// Beside these two, a round may have a goal that ranks the chain, or budgets that
// are never spent: -kinds names what is measured, and all kinds take turns, so that
// they have the same machine. -profile shows where the worker's time goes.
//
// Every part is a process of its own, so that the memory and the processor time
// of a worker are its own: this one keeps Postgres and starts itself again as
// the simulator, as NATS, and as either worker.
package main
