// Package bench is what benchmarks stand on that run the built program: bench-outage,
// bench-drain, bench-hold, bench-fair, bench-batch and bench-doors, each a program of its own beside
// this package.
//
//	ground ── one temporary folder, one Postgres, one simulator ── for all rows
//	  │
//	stage ─── a database, a NATS server, processes ─────────────── for one row
//	  │
//	bars ──── what the figures have to reach, and the JSON object at the end
//
// Workers, servers and simulator are the built program, as `tidegate work`, `serve` and
// `simulate`, each a process of its own that ends with the benchmark, also when
// that is killed. Postgres is durable and on disk; everything listens on loopback
// or on a socket in the folder, which is removed at the end.
package bench
