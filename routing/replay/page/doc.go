// Package page shows a replay as a page of HTML, with plots, for people: one file that
// needs nothing else, and is as pleasant in the dark.
package page
