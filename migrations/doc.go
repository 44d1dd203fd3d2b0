// Package migrations brings a database up to date: River's own tables first,
// then ours, each numbered .sql file in one transaction of its own.
//
// Everything lives in the schema "tidegate", so that a producer's database,
// which may have a table "requests" or a River of its own, is not disturbed.
// Migrations only go up. Any number of processes may call Up at once: an
// advisory lock lets one of them work while the others wait and find it done.
package migrations
