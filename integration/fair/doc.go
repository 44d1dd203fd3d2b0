// Command fair measures what fair admission is for, and what it costs: a tenant with
// many requests fills a route, and one with ten comes later. How long does the small
// one wait, and what does a job cost, with fair admission and with direct? Both in
// one run, taken in turns, each from a fresh database.
//
//	enqueue the big one ── workers ── a twentieth is done ── enqueue the small one ── all is done ── one at a time
//	└────────────────────────── jobs/s, cpu, WAL ──────────────────────────────────────────────┘
//
// A wait is from when the producer made the request to when its result was stored.
// CPU is that of Postgres and of the workers, from the first request that is
// enqueued on; so is WAL, which what waits for its turn has more of. After that
// single requests come to the idle route, each when the one before is done: what
// they take beside direct ones is what asking the supervisor costs.
package main
