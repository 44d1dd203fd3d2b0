// Program replaytruth measures how near a replay comes to the truth: on a made-up week
// of which it is known what other policies would have done, it replays them against the
// log of one, and compares.
//
// The policies are those by which that truth was made, as strategies of the very same
// router: see policies.go for what stands for what.
package main
