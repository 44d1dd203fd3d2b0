// Package metrics shows what this process does, and how its fleet stands, in the format
// of Prometheus.
//
// What the process does it counts itself (process.go), from what the rooms below report
// through their function fields. What is the fleet's it reads from Postgres when somebody
// scrapes (fleet.go): one reading serves all who scrape within some seconds, and every
// process shows the same, so that whoever adds up takes the max of them.
//
// Labels are bounded: route and target are names of the configuration, all others are of
// lists in the code. Names are taken in until there are a thousand of a label; the rest
// is "other". There is never a tenant, a request, a batch, a worker or a message in one.
package metrics
