// Command drain measures how fast a backlog drains after an outage, beside how
// fast it could. 30,000 requests wait, as after 5 minutes at 100 a second, another
// 100 a second arrive all along, and the provider takes 500 a second, or what the
// scenario says:
//
//	clean    as before the outage
//	cold     40% at first, growing to the whole within 5 minutes
//	reduced  60% from now on, and does not announce it
//	grown    150% from now on, and does not announce it
//	relapse  down again after a minute, for two
//	melting  as cold, and answers 503 while over twice its capacity is asked of it
//
// How a scenario goes, on a database, a NATS server and two worker processes of its
// own:
//
//	warm-up ── outage ──────────────────── recovery ── first answer ──── drained
//	full rate  503; the backlog comes      noticed_s     the drain, timed
//
// The warm-up makes the highest accepted rate of the last day, which the pace
// begins from, a fact: workers go at the provider's full rate when the outage
// strikes. The outage is real but shorter than 5 minutes: the backlog is inserted
// into it at once. What depends on its length is the wait between probes, and so
// noticed_s alone: the drain is counted from the first answer. --outage 5m makes
// that true, too.
//
// The optimum is when a perfect drain would be over, which asks at every moment for
// exactly what the provider takes: B/(μ−λ) where the capacity is constant, else by
// the integral. The simulator lets a second's worth through at once after it stood
// idle, so a perfect drain has that much beside, once after the outage and once
// after the relapse. The optimum counts it, and nothing can be below 1.0; the table
// shows the ratio without it, too. Drained, of both, is when no more waits than arrives in a
// quarter of a second: a call that the provider let in waits no more.
//
// The share of 429s is of all calls from the recovery until it is drained. Reopened
// counts how often the circuit went from closed to open after it had closed once,
// from a trigger on the table circuits; the relapse itself is one. No request limit
// is configured: it would cap the grown provider.
package main
