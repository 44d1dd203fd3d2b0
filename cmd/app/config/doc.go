// Package config is the configuration: what the file says, checked, with its defaults
// filled in, and made into the targets, routes, budgets and canaries that the others work
// with.
//
//	Find ── which file it is
//	Load, Read, Parse ── reader: nodes of YAML into a Config, with where each field stands
//	    check ── every mistake at once, with its line and a remedy; and what is hardly meant
//	Config.Build, Budgets, BuildCanaries, Weights ── what it says, as jobs and routing have it
//	Config.Pricing ── what a target costs, and who says so
//	Changes, Merge ── what a running worker takes of another one
//
// There is a file for each part of the configuration. No message shows a key, or what a
// variable holds.
package config
