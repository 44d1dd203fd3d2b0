// Program replay measures what it takes to replay a week of ten requests a second: the
// command `tidegate replay`, with an old policy and a new one, reads it from Postgres the
// first time, and from what it has kept from then on.
//
// The week is generated from what was recorded elsewhere: how many requests came in each
// ten minutes, how long prompts and answers were, and how four providers of one model did
// at that time of a week. See week.go for what is made of what.
package main
