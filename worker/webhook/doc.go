// Package webhook tells receivers over HTTP that a batch has ended.
//
//	a batch ends ── trigger, one River job for each webhook of its tenant
//	                                   │
//	                      worker ── Courier.Deliver ── sign ── POST ── 2xx: it arrived
//	                                   │                       └─ else: again by Schedule, ten tries in three days
//	                                   └ webhooks: since when it fails, what was given up
//
// What is sent is as the OpenAI API and Standard Webhooks have it: a small JSON object,
// its id in webhook-id, the time of the try in webhook-timestamp, and in
// webhook-signature an HMAC-SHA256 of id.timestamp.body by the secret that was shown
// when the webhook was made. An event comes at least once, always under the same id.
//
// Where a webhook leads is looked at when it is dialed, behind DNS: one that was not
// allowed to leads into no private network, and none to a link-local address. Redirects
// are not followed, and proxies of the environment are not used, since behind one
// nobody here could look.
package webhook
