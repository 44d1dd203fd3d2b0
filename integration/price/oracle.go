package main

import "tidegate/jobs"

// oracle is what the day costs whoever knows all of it beforehand, and how many
// deadlines he meets: calls are made only of what will be answered, at the cheapest
// targets first, as far as their limits go until the deadline. All requests are alike and
// wanted at the same time, so nothing is cheaper.
func oracle(d *day, l load) (cost jobs.MicroUSD, met int) {
	left := l.requests
	for i := range d.targets {
		target := &d.targets[i]
		can := 0.0
		for at := l.from; at+slot <= l.from+l.within; at += slot {
			can += float64(l.perMinute()) * slot.Minutes() * target.at(at)
		}
		n := min(left, int(can))
		cost += jobs.MicroUSD(n) * target.price.Cost(usage)
		left -= n
	}
	return cost, l.requests - left
}
