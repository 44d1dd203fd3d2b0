package jobs

import (
	"encoding/json"
	"math"
)

const (
	// bytesPerToken is of English text in JSON, about.
	bytesPerToken = 4
	// answerTokens is what an answer is taken for that nobody bounds, and
	// answerMost for one with a large bound: it is a limit, and seldom reached.
	answerTokens = 250
	answerMost   = 1000
)

// ExpectedWork is about how many tokens a request will take of a provider's
// limits, prompt and answer. It is what shares are counted in, so it must only be
// right beside others: it is from the length of the body and from its bound of the
// answer, and costs less than a microsecond for each kilobyte.
func (r *Request) ExpectedWork() float64 {
	if !r.Endpoint.Speaks() {
		return float64(len(r.Body)) / bytesPerToken
	}
	answer := float64(answerTokens)
	for name, value := range members(r.Body) {
		switch string(name) {
		case "max_tokens", "max_completion_tokens", "max_output_tokens":
			var most float64
			if json.Unmarshal(value, &most) == nil && most >= 1 {
				answer = math.Min(most, answerMost)
			}
		}
	}
	return float64(len(r.Body))/bytesPerToken + answer
}
