// Command hold measures what waiting costs: 1,000,000 requests wait in the queue
// while their provider is down for two minutes. Is any of their rows rewritten, how
// much does Postgres write, who calls the provider, and how soon is there an answer
// when it is back?
//
//	enqueue ── down ── workers ── trip ── settled ═══ hold ═══ flushed ── recovery ── first answer
//	                                      └────── what is measured ──┘
//
// The hold is measured from when it has settled: a circuit is open, the queue is
// paused or had 10 s for it, and no more jobs are in hand than before. What the
// workers took in hand until then, a few hundred, was rewritten once to say so.
// Sessions tell pg_stat what they did up to 10 s later, so each of its two readings
// comes 12 s after the time it stands for, with the hold going on.
//
// rows_rewritten is n_tup_upd + n_tup_del of tidegate.river_job. wal_mb is all that
// the server wrote, heartbeats included. calls are those that reached the provider;
// they must be probes only: none that the table attempts knows as another, and no
// more than one fleet may make. resume_to_first_answer_s counts from the moment in
// which the provider is well again to the end of its first answer, so the wait for
// the next probe is in it.
package main
