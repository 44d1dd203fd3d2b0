package jobs_test

import (
	"fmt"
	"strings"

	"tidegate/jobs"
)

func ExampleReadLines() {
	input := `{"custom_id": "doc-1", "body": {"model": "small", "messages": [{"role": "user", "content": "Sum up: …"}]}}
{"custom_id": "doc-1", "body": {"model": "small", "messages": [{"role": "user", "content": "Sum up: …"}]}}
{"custom_id": "doc-2", "body": {"model": "small", "messages": []}}`

	opts := jobs.LineOptions{DefaultRoute: "summaries"}
	for request, err := range jobs.ReadLines(strings.NewReader(input), opts) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(request.CustomID, "goes to", request.Route)
	}
	// Output:
	// doc-1 goes to summaries
	// line 2: custom_id: "doc-1" was used on line 1 already; give every line its own
	// line 3: body.messages: must be a list with at least one message
}
