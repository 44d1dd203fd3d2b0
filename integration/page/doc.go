// Command page measures what it costs that somebody looks: 1,000,000 requests wait, their
// provider is down, and nobody, one or twenty browsers have the page open.
//
//	enqueue ── down ── worker, server ── settled ══ nobody ══ 1 viewer ══ 20 viewers ══ …
//	                                                └──────── some rounds of it ────────┘
//
// At last one looks at River's page in each round: that asks every two seconds.
//
// A viewer is a connection that takes what the page sends (server-sent events), as a
// browser does. What Postgres has worked is read from /proc: of the postmaster, of all its
// processes, and of those that have ended. share_per_viewer is what it worked more than
// while nobody looked, as a part of one core, by viewer; age_s is how old what stands on the
// page is: what is shown just before something newer comes. counted_s is how long ago the
// backlog was counted, as the page says it itself.
package main
