// Command batch measures what it costs that a large batch comes as a file over HTTP:
// 50,000 lines in 200 MiB, through the built program as `tidegate serve` and `tidegate
// work`, beside a COPY of the same bytes into a table of nothing else.
//
//	COPY ── upload ── create ── all lines were checked ── all are in the queue ── all are answered
//	└copy_s┘└upload_s┘   └────── in_progress_s ──┘                   │                  │
//	                     └────────────────── enqueued_s ─────────────┘                  │
//	                     └─────────────── completed_s, with --answer ───────────────────┘
//
// Each round has a fresh database, a server and a worker that have done nothing yet. The
// route is paused until all is enqueued, so that nothing else is measured before; with
// --answer it is resumed then. Memory is the most that a process had in the round
// (VmHWM, on Linux). Processor time is of Postgres, server and worker. Lines are text as people write it, as far as a compressor can tell:
// words by their usual frequency.
package main
