package simulator

import "strings"

// maxInstruction is how long an instruction may be, in bytes; a longer first
// paragraph is taken for the document.
const maxInstruction = 600

// instructionWords begin what asks for work rather than tells something.
var instructionWords = []string{
	"summarise", "summarize", "summary", "condense", "shorten", "abstract", "describe", "explain", "give", "write",
	"list", "extract", "please", "you are", "in one sentence", "in two sentences", "in three sentences", "in a sentence",
	"tl;dr", "tldr", "provide a", "create a", "your task", "read the", "rewrite", "produce", "what does", "what is",
}

// separate finds the instruction before the document, or after it: a line of its
// own, or a paragraph of its own, that begins like a command. The document is
// never empty if there is any text at all.
func separate(text string) (instruction, document string) {
	text = strings.TrimLeft(text, "\r\n")
	for _, border := range []string{"\n\n", "\n"} {
		head, rest, found := strings.Cut(text, border)
		if found && asks(head) && strings.TrimSpace(rest) != "" {
			return head, rest
		}
	}
	trimmed := strings.TrimSpace(text)
	if at := strings.LastIndex(trimmed, "\n\n"); at > 0 && commands(trimmed[at+2:]) {
		return trimmed[at+2:], trimmed[:at]
	}
	return "", text
}

// asks tells whether a first paragraph is an instruction: a command, or a short
// line that announces what follows.
func asks(head string) bool {
	head = strings.TrimSpace(head)
	if len(head) > maxInstruction {
		return false
	}
	return commands(head) || (strings.HasSuffix(head, ":") && !strings.Contains(head, "\n") && mentionsTask(head))
}

func commands(head string) bool {
	head = strings.TrimLeft(head, " \t*_#>\"'")
	if len(head) > maxInstruction {
		return false
	}
	for _, word := range instructionWords {
		if len(head) >= len(word) && strings.EqualFold(head[:len(word)], word) {
			return mentionsTask(head)
		}
	}
	return false
}

// mentionsTask keeps a document that merely begins with "Give" or "List".
func mentionsTask(head string) bool {
	head = strings.ToLower(head)
	for _, word := range []string{"summar", "sentence", "document", "text", "following", "below", "above", "tl;dr", "condense", "shorten", "abstract", "words"} {
		if strings.Contains(head, word) {
			return true
		}
	}
	return false
}

var numbers = map[string]int{
	"a": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5,
	"1": 1, "2": 2, "3": 3, "4": 4, "5": 5,
}

// sentencesWanted reads "at most two sentences"; zero: it does not say.
func sentencesWanted(instruction string) int {
	instruction = strings.ToLower(instruction)
	at := strings.Index(instruction, "sentence")
	if at < 0 || at > maxInstruction {
		return 0
	}
	before := strings.FieldsFunc(instruction[:at], func(r rune) bool { return r == ' ' || r == '-' || r == '\n' || r == '\t' })
	for i := len(before) - 1; i >= max(0, len(before)-3); i-- {
		if n, ok := numbers[before[i]]; ok {
			return n
		}
	}
	return 0
}
