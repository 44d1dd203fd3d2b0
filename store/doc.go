// Package store keeps what tidegate must not forget, in Postgres: requests,
// batches, results, attempts, circuits, and what is owed to NATS.
//
// One file for each table or for each thing that is done in one transaction,
// with the SQL beside the function that runs it. Every query begins with a
// comment that names it, so that pg_stat_statements can be read. Tables are
// always named with their schema, since a producer's transaction has a
// search_path of its own.
//
// Where a transaction is somebody else's, a function takes a pgx.Tx; everywhere
// else one method is one transaction. A Store is safe for concurrent use.
package store
