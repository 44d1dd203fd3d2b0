package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/routing/simulator"
)

// BenchmarkCall is a call with a document of 4 KB without a network: what one
// call costs the simulator beside net/http.
func BenchmarkCall(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(fmt.Sprintf("plain=%t", plain), func(b *testing.B) {
			s, err := simulator.New(simulator.Config{Plain: plain, Providers: []simulator.Provider{{Name: "a"}}})
			if err != nil {
				b.Fatal(err)
			}
			text := strings.Repeat(document+"\n\n", 1+4096/len(document))[:4096]
			body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]}`, text)
			b.ReportAllocs()
			for b.Loop() {
				recorder := httptest.NewRecorder()
				s.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/a/v1/chat/completions", strings.NewReader(body)))
				if recorder.Code != http.StatusOK {
					b.Fatal(recorder.Code)
				}
			}
		})
	}
}
