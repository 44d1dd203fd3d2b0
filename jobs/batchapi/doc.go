// Package batchapi is the front door: the OpenAI Files and Batches API over HTTP,
// exact enough that the official SDKs work with nothing but another base URL, and
// beside it the doors that are tidegate's own.
//
//	request ─ recover ─ id ─ limits ─ key ─ scope ─ handler ─> store
//	                                                   │
//	          every error, wherever it comes from, leaves as {"error": {…}}
//
// A handler decides nothing about requests: it writes down what was asked for, and
// workers do it. What comes in or goes out as a file is never in memory as a whole.
// A tenant sees its own files and batches only; what is another's is not there.
package batchapi
