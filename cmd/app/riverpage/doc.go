// Package riverpage is River's own page (River UI) behind the login of ours: jobs, queues
// and their states, as River sees them. It begins when somebody first looks, and ends when
// nobody has looked for a while. What it found out is told to all who look, for a time that
// grows with how long that took.
//
// Queues are paused and resumed there as `tidegate pause` and `resume` do. Single jobs are
// only shown: a job that is deleted or cancelled behind tidegate's back leaves a request
// without a result, and one that is run again is of no use.
package riverpage
