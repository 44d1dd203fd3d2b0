// Command removal measures what it costs to remove old requests: how fast they go, and
// how long commits take meanwhile, beside commits just before and just after.
//
//	fill ── commits alone ── a worker removes all that is old, beside commits ── commits alone
//
// Half of the requests are in batches, half are in none; each has a prompt and an answer,
// and a call some weeks ago. Commits are groups of new results at a steady rate, each
// written by the statement that workers use; their events go out to NATS meanwhile.
package main
