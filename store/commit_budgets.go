package store

import "tidegate/jobs"

// A group of which some cost counts for budgets: what its new attempts cost is
// spent, and what their calls had reserved is free, in one transaction with the
// attempts. A group that is committed again adds no attempt, so it spends nothing.
// The rows of budgets are locked last of all, in the order of their ids. Calls are
// locked after the attempts, as by a rescue, which writes their LOST ones before.
const commitUnderBudgets = `/* tidegate: commit group under budgets */
WITH ` + commitEntries + `
), owner AS (
	SELECT * FROM unnest($52::uuid[], $53::text[], $54::text[], $55::text[]) AS o (request_id, tenant, route, batch_id)
), due AS (
	SELECT b.id, sum(t.cost_micro_usd)::bigint AS cost FROM tried t JOIN owner o USING (request_id, route)
	CROSS JOIN LATERAL (VALUES ('tenant', o.tenant), ('route', o.route), ('batch', o.batch_id)) k (scope, name)
	JOIN tidegate.budgets b ON b.scope = k.scope AND b.name = k.name
	GROUP BY b.id
), lasts AS (
	SELECT id FROM tidegate.budgets WHERE id IN (SELECT id FROM due) AND (SELECT count(*) FROM moved) >= 0 ORDER BY id FOR UPDATE
), charged AS (
	UPDATE tidegate.budgets b SET spent = b.spent + d.cost, day = tidegate.today(),
		spent_today = d.cost + CASE WHEN b.day = tidegate.today() THEN b.spent_today ELSE 0 END
	FROM due d, lasts l WHERE b.id = d.id AND l.id = d.id
), settled AS (
	SELECT c.worker, c.slot FROM tidegate.calls c
	WHERE c.reserved > 0 AND (c.request_id, c.at) IN (SELECT request_id, at FROM unnest($21::uuid[], $22::timestamptz[]) AS made (request_id, at))
		AND (SELECT count(*) FROM tried) >= 0
	ORDER BY c.worker, c.slot FOR UPDATE
), freed AS (
	UPDATE tidegate.calls c SET reserved = 0 FROM settled s WHERE c.worker = s.worker AND c.slot = s.slot
)` + committed

// owners say whose requests are, laid out by column.
type owners struct {
	requestID              []string
	tenant, route, batchID texts
}

// ownersOf are those of a group's requests that may be under budgets; nil: none is.
func ownersOf(entries []jobs.Entry) *owners {
	var all *owners
	seen := map[[2]string]bool{} // canaries are of no request, and of routes
	for i := range entries {
		r := entries[i].Request
		if !entries[i].Budgeted || seen[[2]string{r.ID, r.Route}] {
			continue
		}
		if all == nil {
			all = &owners{}
		}
		seen[[2]string{r.ID, r.Route}] = true // or else an attempt would count twice
		all.requestID = append(all.requestID, r.ID)
		all.tenant, all.route, all.batchID = append(all.tenant, text(r.Tenant)), append(all.route, text(r.Route)), append(all.batchID, text(r.BatchID))
	}
	return all
}

func (o *owners) args() []any { return []any{o.requestID, o.tenant, o.route, o.batchID} }
