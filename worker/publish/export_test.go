package publish

// Overlap is what tests look at by itself.
var Overlap = overlap
