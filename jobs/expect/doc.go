// Package expect compiles what answers must be like, a jobs.Expect, and judges
// answers by it.
//
// Both sides may be hostile. A schema loads nothing: its references lead into
// itself, or to the drafts of JSON Schema that are built in. Neither a schema nor
// an answer can make a judgement long: it costs at most some steps for each value
// of the answer, and one that would cost more is a refusal. What a judgement says
// names a rule and a place in the schema, and never a piece of an answer.
package expect
