package simulator_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"pgregory.net/rapid"

	"tidegate/routing/simulator"
)

func embedding(input ...string) openai.EmbeddingNewParams {
	return openai.EmbeddingNewParams{Model: "small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: input}}
}

func (b *bundle) embed(params openai.EmbeddingNewParams) *openai.CreateEmbeddingResponse {
	b.t.Helper()
	client := b.openai("a", "")
	answer, err := client.Embeddings.New(b.t.Context(), params)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func cosine(a, b openai.Embedding) float64 {
	sum := 0.0
	for i, x := range a.Embedding {
		sum += x * b.Embedding[i]
	}
	return sum
}

// Vectors are of length one, the same for the same text, and nearer the more words two
// texts have in common.
func TestOfficialClientEmbeds(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{ReasoningTokens: 7})
	answer := b.embed(embedding("The tide rises at the harbour.", "the tide falls at the harbour", "Quarterly revenue beat estimates", "The tide rises at the harbour."))
	if len(answer.Data) != 4 || len(answer.Data[0].Embedding) != 256 || answer.Usage.PromptTokens != 8+8+8+8 || answer.Usage.TotalTokens != answer.Usage.PromptTokens || answer.Model != "small" {
		t.Fatalf("%d vectors, %s", len(answer.Data), answer.JSON.Usage.Raw())
	}
	for i, v := range answer.Data {
		if length := cosine(v, v); v.Index != int64(i) || math.Abs(length-1) > 1e-5 {
			t.Errorf("vector %d has the index %d, and the length %g", i, v.Index, length)
		}
	}
	if diff := cmp.Diff(answer.Data[0].Embedding, answer.Data[3].Embedding); diff != "" {
		t.Error("the same text has two vectors")
	}
	if near, far := cosine(answer.Data[0], answer.Data[1]), cosine(answer.Data[0], answer.Data[2]); near < 0.3 || far > near/2 {
		t.Errorf("texts that are alike are at %g, others at %g", near, far)
	}
	if again := b.embed(embedding("the tide falls at the harbour")); !slices.Equal(again.Data[0].Embedding, answer.Data[1].Embedding) {
		t.Error("asked again, it is another vector")
	}
}

// Texts may come in tokens, vectors may be of any size, and packed.
func TestFormsOfVectors(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	plain := b.embed(openai.EmbeddingNewParams{Model: "small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokenArrays: [][]int64{{1, 2, 3}, {4}}}, Dimensions: openai.Int(8)})
	if len(plain.Data) != 2 || len(plain.Data[0].Embedding) != 8 || plain.Usage.PromptTokens != 4 {
		t.Errorf("%s", plain.RawJSON())
	}
	flat := b.embed(openai.EmbeddingNewParams{Model: "small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokens: []int64{1, 2, 3}}, Dimensions: openai.Int(8)})
	if len(flat.Data) != 1 || !slices.Equal(flat.Data[0].Embedding, plain.Data[0].Embedding) {
		t.Errorf("%s", flat.RawJSON())
	}
	packed := b.do("POST", b.BaseURL("a")+"/embeddings", `{"model":"small","input":[1,2,3],"dimensions":8,"encoding_format":"base64"}`)
	var read struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal([]byte(packed.body), &read); err != nil {
		t.Fatal(err)
	}
	if bytes, err := base64.StdEncoding.DecodeString(read.Data[0].Embedding); err != nil || len(bytes) != 8*4 {
		t.Errorf("packed: %d bytes, %v", len(bytes), err)
	}
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringN(1, 200, -1).Draw(r, "text")
		answer := b.embed(openai.EmbeddingNewParams{Model: "small", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(text)}, Dimensions: openai.Int(rapid.Int64Range(1, 50).Draw(r, "dimensions"))})
		if length := cosine(answer.Data[0], answer.Data[0]); math.Abs(length-1) > 1e-5 {
			r.Fatalf("%q has the length %g", text, length)
		}
	})
}

func TestOfficialClientGetsResponses(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{CachedShare: 0.5, ReasoningTokens: 7})
	client := b.openai("a", "")
	params := responses.ResponseNewParams{Model: "small", Instructions: openai.String("Be brief."), Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(prompt)}}
	answer, err := client.Responses.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	u := answer.Usage
	if !strings.HasPrefix(answer.OutputText(), "Predicts the height of the water at a harbour.") || answer.Status != responses.ResponseStatusCompleted || answer.Output[0].Type != "reasoning" ||
		u.InputTokens != int64(3+(len("Be brief.")+3)/4+(len(prompt)+3)/4) || u.InputTokensDetails.CachedTokens != u.InputTokens/2 ||
		u.OutputTokensDetails.ReasoningTokens != 7 || u.OutputTokens != int64(7+(len(answer.OutputText())+3)/4) || u.TotalTokens != u.InputTokens+u.OutputTokens {
		t.Errorf("%s", answer.RawJSON())
	}
	params.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{responses.ResponseInputItemParamOfMessage(prompt, responses.EasyInputMessageRoleUser)}}
	items, err := client.Responses.New(t.Context(), params)
	if err != nil || items.OutputText() != answer.OutputText() {
		t.Errorf("as items: %v, %v", items, err)
	}
	params.MaxOutputTokens = openai.Int(16)
	params.Input = responses.ResponseNewParamsInputUnion{OfString: openai.String("Summarise: " + strings.Repeat("tide ", 200) + ".")}
	if cut, err := client.Responses.New(t.Context(), params); err != nil || cut.Status != responses.ResponseStatusIncomplete || cut.IncompleteDetails.Reason != "max_output_tokens" {
		t.Errorf("cut: %v, %v", cut, err)
	}
}

func TestOfficialClientCompletesTexts(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	client := b.openai("a", "")
	answer, err := client.Completions.New(t.Context(), openai.CompletionNewParams{Model: "small", Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{prompt, "Tides are predictable. Storms are not."}}})
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, choice := range answer.Choices {
		said += (len(choice.Text) + 3) / 4
	}
	if len(answer.Choices) != 2 || !strings.HasPrefix(answer.Choices[0].Text, "Predicts the height") || answer.Choices[1].Text != "Tides are predictable." || answer.Choices[1].Index != 1 ||
		answer.Usage.CompletionTokens != int64(said) || answer.Object != "text_completion" {
		t.Errorf("%s", answer.RawJSON())
	}
}

// bodies are small ones of the endpoints beside chats, and what an answer to them has.
var bodies = map[string]struct{ body, has string }{
	"embeddings":  {`{"model":"small","input":"Tides are predictable.","dimensions":4}`, `"embedding":[`},
	"responses":   {`{"model":"small","input":"Tides are predictable. Storms are not."}`, `"text":"Tides are predictable."`},
	"completions": {`{"model":"small","prompt":"Tides are predictable. Storms are not."}`, `"text":"Tides are predictable."`},
}

// Every fault befalls every endpoint, as it does chats.
func TestFaultsOfEachEndpoint(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	for path, c := range bodies {
		for _, mode := range simulator.Modes() {
			if err := b.Set("a", simulator.Fault{Mode: mode, Delay: time.Millisecond, RetryAfter: time.Second}); err != nil {
				t.Fatal(err)
			}
			if mode == simulator.Hang {
				continue // it is met before anybody looks what was asked for
			}
			before := b.Calls("a")
			got := b.do("POST", b.BaseURL("a")+"/"+path, c.body)
			if after := b.Calls("a").Since(before); after.Outcomes[mode] != 1 {
				t.Errorf("%s, %s: counted as %v", path, mode, after.Outcomes)
			}
			valid := json.Valid([]byte(got.body))
			ok := false
			switch mode {
			case simulator.OK, simulator.Slow, simulator.Drip:
				ok = whole(got) && strings.Contains(got.body, c.has)
			case simulator.Reset:
				ok = got.err != nil && got.status == 0
			case simulator.Cut:
				ok = got.err != nil && got.status == 200 && !valid
			case simulator.Garbled:
				ok = got.err == nil && got.status == 200 && !valid
			case simulator.Inside:
				ok = whole(got) && strings.HasPrefix(got.body, `{"error":`)
			case simulator.Empty:
				ok = whole(got) && (strings.Contains(got.body, `"text":""`) || strings.Contains(got.body, `"data":[]`))
			case simulator.Filtered:
				ok = whole(got) && (strings.Contains(got.body, "content_filter") || strings.Contains(got.body, `"data":[]`))
			case simulator.Smaller:
				ok = whole(got) && strings.Contains(got.body, "sim-tiny-")
			case simulator.Garbage, simulator.Refusing:
				ok = whole(got) && (path == "embeddings" || !strings.Contains(got.body, c.has))
			default:
				ok = got.err == nil && got.status >= 400 && strings.HasPrefix(got.body, `{"error":`)
			}
			if !ok {
				t.Errorf("%s, %s: %d %s %v", path, mode, got.status, got.body, got.err)
			}
		}
	}
}

// Bodies are checked as the vendor checks them, and what a provider does not serve is
// nowhere at it.
func TestBadBodiesOfEndpoints(t *testing.T) {
	t.Parallel()
	b := start(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", ContextTokens: 10}, {Name: "narrow", Endpoints: []string{"chat", "embeddings"}}}})
	for name, c := range map[string]struct {
		path, body string
		status     int
		says       string
	}{
		"no input":               {"embeddings", `{"model":"m"}`, 400, "'input'"},
		"nothing":                {"embeddings", `{"model":"m","input":[]}`, 400, "1 to 2048 texts"},
		"an empty one":           {"embeddings", `{"model":"m","input":["a",""]}`, 400, "none that is empty"},
		"no model":               {"embeddings", `{"input":"a"}`, 400, "model parameter"},
		"another kind":           {"embeddings", `{"model":"m","input":{"a":1}}`, 400, "error"},
		"no dimensions":          {"embeddings", `{"model":"m","input":"a","dimensions":0}`, 400, "dimensions"},
		"another format":         {"embeddings", `{"model":"m","input":"a","encoding_format":"x"}`, 400, "Supported values"},
		"a long one":             {"embeddings", `{"model":"m","input":["` + strings.Repeat("a", 50) + `"]}`, 400, "maximum context length"},
		"several that are short": {"embeddings", `{"model":"m","input":["` + strings.Repeat(`aaaaaaaa","`, 9) + `a"]}`, 200, `"embedding"`},
		"no prompt":              {"completions", `{"model":"m"}`, 400, "'prompt'"},
		"a stream":               {"completions", `{"model":"m","prompt":"a","stream":true}`, 400, "'stream'"},
		"no limit":               {"completions", `{"model":"m","prompt":"a","max_tokens":0}`, 400, "max_tokens"},
		"no text":                {"responses", `{"model":"m","input":""}`, 400, "'input'"},
		"a number":               {"responses", `{"model":"m","input":7}`, 400, "array of input items"},
		"a small limit":          {"responses", `{"model":"m","input":"a","max_output_tokens":15}`, 400, ">= 16"},
		"a response as a stream": {"responses", `{"model":"m","input":"a","stream":true}`, 400, "'stream'"},
		"elsewhere":              {"moderations", `{"input":"a"}`, 404, "Invalid URL (POST /v1/moderations)"},
	} {
		if got := b.do("POST", b.BaseURL("a")+"/"+c.path, c.body); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for path, status := range map[string]int{"embeddings": 200, "responses": 404, "completions": 404} {
		if got := b.do("POST", b.BaseURL("narrow")+"/"+path, bodies[path].body); got.status != status {
			t.Errorf("%s of one that does not serve it: %d %s", path, got.status, got.body)
		}
	}
	if got := b.do("GET", b.BaseURL("a")+"/embeddings", ""); got.status != 405 {
		t.Errorf("GET: %d %s", got.status, got.body)
	}
	if err := (simulator.Config{Providers: []simulator.Provider{{Name: "a", Endpoints: []string{"chats"}}}}).Validate(); err == nil || !strings.Contains(err.Error(), `endpoints[0]: "chats" is not known`) {
		t.Error(err)
	}
}
