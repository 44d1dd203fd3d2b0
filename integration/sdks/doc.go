// Command sdks checks that the official OpenAI SDK for Node, as it comes from npm,
// works with a tidegate that it knows nothing of: a `tidegate dev` with simulated
// providers, on a temporary folder and free ports, with keys of `tidegate keys create`.
//
//	node check.mjs ── HTTP ──┬──────────── tidegate dev
//	                         └─ resetter ──┘
//
// The checks are in node/check.mjs, in parts, each a process of its own; the version
// of the SDK and its digest are pinned beside it. The resetter is a proxy that cuts the
// connection of the first create of a batch when the server has answered it. What came
// of that is counted in Postgres.
//
// Whoever runs it needs Go, node and npm; what it starts ends with it. The official SDK
// for Go has tests of its own in integration, which `make check-sdks` runs behind this.
package main
