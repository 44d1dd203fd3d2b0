package simulator

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

const sample = `Package tide predicts the height of the water at a harbour.

# Overview

A prediction is a sum of harmonic constituents, each with an amplitude and a phase.
The constituents of a harbour are found by fitting them to a year of measured heights, e.g. from a gauge.
Version 1.26 of net/http.Client is not used. Dr. J. Smith measured the heights at U.S. harbours.

	h := tide.Predict(harbour, time.Now())

It works like this:
`

func sentencesOf(document string) []string {
	w := new(reading)
	w.read(document)
	var out []string
	for _, s := range w.sentences {
		out = append(out, string(w.text[s.start:s.end]))
	}
	return out
}

func TestSentences(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		document string
		want     []string
	}{
		"a Go package": {sample, []string{
			"Package tide predicts the height of the water at a harbour.",
			"A prediction is a sum of harmonic constituents, each with an amplitude and a phase.",
			"The constituents of a harbour are found by fitting them to a year of measured heights, e.g. from a gauge.",
			"Version 1.26 of net/http.Client is not used.",
			"Dr. J. Smith measured the heights at U.S. harbours.",
			"It works like this:",
		}},
		"quotes and brackets": {`He said "Go." (She did.) Then what?! Nothing`, []string{`He said "Go."`, `(She did.)`, `Then what?!`, `Nothing`}},
		"a fence":             {"Before.\n```\ncode. More code.\n```\nAfter.", []string{"Before.", "After."}},
		"a list":              {"Two kinds:\n  - Spring tides are\n    high.\n  - Neap tides are low.\n", []string{"Two kinds:", "Spring tides are high.", "Neap tides are low."}},
		"all of it indented":  {"    One line.\n    Another line.\n\n        code()\n", []string{"One line.", "Another line."}},
		"only code":           {"```\nx := 1\n```", []string{"``` x := 1 ```"}},
		"windows":             {"One\r\ntwo.\r\n\r\nThree.\r\n", []string{"One two.", "Three."}},
		"ideographic":         {"潮は満ちる。潮は引く。", []string{"潮は満ちる。", "潮は引く。"}},
		"markup":              {"<doc>\n| a | b |\nOne.\n=====\n\n1. Two.\n2) Three.\n</doc>", []string{"One.", "Two.", "Three."}},
		"nothing":             {" \n\t\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := sentencesOf(test.document)
			if strings.Join(got, "|") != strings.Join(test.want, "|") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestSeparate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, instruction string }{
		{"Summarise the following document in at most three sentences:\n\nTides turn.", "Summarise the following document in at most three sentences:"},
		{"Summarize this text.\nTides turn.", "Summarize this text."},
		{"Please give me a summary in 2 sentences\n\nTides turn.", "Please give me a summary in 2 sentences"},
		{"Document to be summarised:\n\nTides turn.", "Document to be summarised:"},
		{"Tides turn.\n\nThey always do.\n\nSummarise the text above.", "Summarise the text above."},
		{"Tides turn.\n\nThey always do.", ""},
		{"Give and take is the way of the sea.\n\nTides turn.", ""},
		{"Summarise this text", ""},
		{"Summarise this text:\n\n  \n", ""},
		{"", ""},
	} {
		instruction, document := separate(test.text)
		if instruction != test.instruction {
			t.Errorf("%q: the instruction is %q, want %q", test.text, instruction, test.instruction)
		}
		if strings.TrimSpace(test.text) != "" && strings.TrimSpace(document) == "" {
			t.Errorf("%q: no document", test.text)
		}
	}
}

func TestSentencesWanted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"Summarise in at most two sentences.": 2, "in a single short sentence": 1, "a three-sentence summary": 3,
		"Use 4 sentences": 4, "Summarise.": 0, "in many sentences": 0, "": 0,
	} {
		if got := sentencesWanted(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	var r reader
	for name, test := range map[string]struct {
		question
		want  string
		whole bool
	}{
		"the first sentence, without its package": {question{document: "Summarise this text in one sentence:\n\n" + sample}, "Predicts the height of the water at a harbour.", true},
		"a subject that is needed":                {question{document: "Package tide is about water."}, "Package tide is about water.", true},
		"cut between words":                       {question{document: "Tides turn twice a day.", maxTokens: 3}, "Tides turn", false},
		"cut within a word":                       {question{document: strings.Repeat("é", 40), maxTokens: 2}, "éééé", false},
		"what fits rather than what is best":      {question{document: "The harbour measures the height of the harbour. So it is. The harbour is high.", maxTokens: 5}, "The harbour is high.", true},
		"nothing":                                 {question{}, "There is no text to summarise.", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, whole := r.summarise(test.question)
			if got != test.want || whole != test.whole {
				t.Errorf("got %q, whole %t", got, whole)
			}
		})
	}
}

func TestEchoIsShort(t *testing.T) {
	t.Parallel()
	if got := echo(strings.Repeat("é", 1000)); len(got) > 120 || !utf8.ValidString(got) {
		t.Errorf("got %q", got)
	}
}

// FuzzSummary holds that a summary is made of the document's own sentences, that
// it keeps the limit, and that the same question has the same answer.
func FuzzSummary(f *testing.F) {
	f.Add("Summarise the following document:\n\n"+sample, uint16(0))
	f.Add(sample, uint16(7))
	f.Add("- \n\t.\n```\n。Package x ys.\x00", uint16(1))
	f.Add("Package . s. \xff\xfe! A.", uint16(2))
	var r reader
	f.Fuzz(func(t *testing.T, document string, limit uint16) {
		q := question{document: document, maxTokens: int(limit)}
		got, whole := r.summarise(q)
		if again, _ := r.summarise(q); again != got {
			t.Fatalf("twice asked: %q and %q", got, again)
		}
		if limit > 0 && tokens(got) > int(limit) {
			t.Fatalf("%d tokens of %d: %q", tokens(got), limit, got)
		}
		if utf8.ValidString(document) && !utf8.ValidString(got) {
			t.Fatalf("broken UTF-8: %q", got)
		}
		_, prose := separate(document)
		all := sentencesOf(prose)
		if len(all) == 0 {
			return
		}
		if whole && !isChosenFrom(all, got) {
			t.Fatalf("not sentences of the document, in order: %q", got)
		}
		if !whole && !isCutFrom(all, got) {
			t.Fatalf("cut from nowhere: %q", got)
		}
	})
}

// isChosenFrom tells whether text is some of the sentences, in order, with a
// blank between each two.
func isChosenFrom(sentences []string, text string) bool {
	ends := map[int]bool{-1: true} // where a choice so far may end in text
	for _, s := range sentences {
		for _, form := range []string{s, withoutPackage(s)} {
			for end := range maps.Clone(ends) {
				if strings.HasPrefix(text[min(end+1, len(text)):], form) && (end < 0 || end < len(text) && text[end] == ' ') {
					ends[end+1+len(form)] = true
				}
			}
		}
	}
	return ends[len(text)]
}

func isCutFrom(sentences []string, text string) bool {
	for _, s := range sentences {
		if strings.HasPrefix(s, text) || strings.HasPrefix(withoutPackage(s), text) {
			return true
		}
	}
	return false
}

// withoutPackage says once more, in other words, what spoken may do.
func withoutPackage(s string) string {
	words := strings.SplitN(s, " ", 3)
	if len(words) < 3 || words[0] != "Package" || words[2] == "" {
		return s
	}
	return strings.ToUpper(words[2][:1]) + words[2][1:]
}

func BenchmarkSummary(b *testing.B) {
	document := "Summarise the following document:\n\n" + strings.Repeat(sample, 1+4096/len(sample))[:4096]
	var r reader
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		r.summarise(question{document: document})
	}
}
