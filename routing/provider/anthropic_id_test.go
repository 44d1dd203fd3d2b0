package provider

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"tidegate/jobs"
)

// TestAnthropicTakesTheIDsOfOthers: a conversation that began at another vendor goes on
// here. Its calls and their results keep together, and apart from each other.
func TestAnthropicTakesTheIDsOfOthers(t *testing.T) {
	t.Parallel()
	ids := []string{"functions.tides:0", "functions_tides_0", "functions.tides.0", "call_ok-1", "ü"}
	var calls, results []string
	for _, id := range ids {
		calls = append(calls, `{"id":"`+id+`","type":"function","function":{"name":"tides","arguments":"{}"}}`)
		results = append(results, `{"role":"tool","tool_call_id":"`+id+`","content":"high"}`)
	}
	body := talk(hello+`,{"role":"assistant","tool_calls":[`+strings.Join(calls, ",")+`]},`+strings.Join(results, ","), "")
	wire, err := encodeAnthropic(&jobs.Target{Model: "m"}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var sent anthropicRequest
	if err := json.Unmarshal(wire, &sent); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, use := range sent.Messages[1].Content {
		result := sent.Messages[2].Content[i]
		if use.ID != result.ToolUseID || seen[use.ID] || !regexp.MustCompile(`^[a-zA-Z0-9_-]+$`).MatchString(use.ID) {
			t.Errorf("%q is %q, and %q in its result", ids[i], use.ID, result.ToolUseID)
		}
		if seen[use.ID] = true; strings.HasPrefix(ids[i], "call") && use.ID != ids[i] {
			t.Errorf("%q is %q", ids[i], use.ID)
		}
	}
}
