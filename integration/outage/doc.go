// Command outage measures what an outage costs: a provider answers 503 for a
// minute, and then takes 500 requests a second. How many calls were wasted, what
// did they cost the jobs, and how soon is everything done?
//
// Three rows, one after the other, on one simulator, two worker processes each:
//
//	tidegate    down from the start: the workers begin in the outage
//	mid-flight  the outage comes while jobs are under way
//	river       as the first row, with River alone and its defaults
//
// A wasted call is one that the simulator answered with 503, probes included. A
// duplicate is a request that it answered with 200 more than once; each request
// has a text of its own. First answer and all done are counted from the moment in
// which the provider is well again; all done is when the last job was completed.
// Reopened counts how often the circuit went from closed to open after it had
// first closed, from a trigger on the table circuits that notes every change that
// a worker writes down. What was in flight at the trip are the calls, by the table
// attempts, that had begun and not ended when the first circuit opened.
package main
