// Package store has its comment where nobody looks for it.
package store
