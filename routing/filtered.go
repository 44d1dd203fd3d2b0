package routing

import "tidegate/jobs"

// takenAway is why an answer ended that a provider's filter cut off, or took away.
const takenAway = "content_filter"

// filtered makes a refusal of an answer that a provider's filter has ended, where the
// route wants another policy to be asked. It was billed all the same.
func filtered(answer *jobs.Answer) *jobs.Error {
	return &jobs.Error{
		Class: jobs.Content, Status: 200, Code: takenAway, Message: "the answer was ended by the provider's content filter", Said: true,
		ProviderRequestID: answer.ProviderRequestID, Usage: answer.Usage, Allowance: answer.Allowance,
	}
}
