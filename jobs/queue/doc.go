// Package queue is how a Go producer hands requests to tidegate: inside its own
// database transaction, so that a request exists exactly if what it is about
// was committed.
//
//	producer's pgx.Tx ── INSERT … its own rows
//	        │
//	        ├─ EnqueueTx ── tidegate.requests   the request, byte for byte
//	        │             └ tidegate.river_job  its id, in the queue of its route
//	     COMMIT ─────────── a worker may take it
//
// A producer imports this package and jobs, and no more. A Queue is safe for
// concurrent use.
package queue
