package simulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"tidegate/routing/simulator"
)

// A provider answers, dies by command for a while, and is well again.
func Example() {
	sim, err := simulator.New(simulator.Config{
		Providers: []simulator.Provider{{Name: "cheap", Models: []string{"small"}}},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(sim) // or sim.Run(ctx), which listens by itself
	defer server.Close()
	ask := func() {
		body := `{"model": "small", "messages": [{"role": "user", "content": "Tides turn. They always do."}]}`
		response, err := http.Post(server.URL+sim.BaseURL("cheap")+"/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, strings.Contains(string(text), `"content":"Tides turn."`))
	}

	ask()
	if err := sim.Set("cheap", simulator.Fault{Mode: simulator.Unavailable, For: time.Hour}); err != nil {
		panic(err)
	}
	ask()
	if err := sim.Clear("cheap"); err != nil {
		panic(err)
	}
	ask()
	fmt.Println(sim.Calls("cheap").Outcomes)
	// Output:
	// 200 true
	// 503 false
	// 200 true
	// map[ok:2 unavailable:1]
}
