package provider

import "strings"

// unsigned stands in place of a signature where a call was made by another model, or
// whoever kept the conversation lost it. The vendor names it for that.
const unsigned = "skip_thought_signature_validator"

// signs tells whether a model signs its calls, and refuses a conversation in which
// the first call of a message is not signed: Gemini 3 and what came after it.
func signs(model string) bool {
	version, gemini := strings.CutPrefix(model, "gemini-")
	return gemini && !strings.HasPrefix(version, "1") && !strings.HasPrefix(version, "2")
}

// sign signs the first call of each message that has calls and no signature there.
func (r *geminiRequest) sign() {
	for _, content := range r.Contents {
		for i := range content.Parts {
			if part := &content.Parts[i]; part.FunctionCall != nil {
				if part.Signature == "" {
					part.Signature = unsigned
				}
				break
			}
		}
	}
}
