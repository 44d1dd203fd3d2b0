package simulator

import (
	"bytes"
	"strings"
)

// abbreviations end in a full stop that ends no sentence.
var abbreviations = map[string]bool{
	"e.g": true, "i.e": true, "cf": true, "vs": true, "viz": true, "resp": true, "approx": true, "mr": true, "mrs": true,
	"ms": true, "dr": true, "prof": true, "st": true, "fig": true, "sec": true, "eq": true, "al": true,
	"inc": true, "ltd": true, "jr": true, "sr": true, "u.s": true, "a.k.a": true, "incl": true, "ca": true, "op": true,
}

// split finds the sentences of the text, paragraph by paragraph.
func (w *reading) split() {
	w.sentences = w.sentences[:0]
	for start := 0; start < len(w.text); {
		end := len(w.text)
		if newline := bytes.IndexByte(w.text[start:], '\n'); newline >= 0 {
			end = start + newline
		}
		w.splitParagraph(start, end)
		start = end + 1
	}
}

func (w *reading) splitParagraph(start, end int) {
	place := 0
	for i := start; i < end; i++ {
		if b := w.text[i]; b != '.' && b != '!' && b != '?' && b != 0x82 {
			continue // nearly always; a call for each byte would be a third of the cost
		}
		border := sentenceEnd(w.text[start:end], i-start)
		if border == 0 {
			continue
		}
		w.sentences = append(w.sentences, sentence{start: start, end: start + border, place: place, whole: true})
		place++
		start += border
		for start < end && w.text[start] == ' ' {
			start++
		}
		i = start - 1
	}
	if start < end {
		w.sentences = append(w.sentences, sentence{start: start, end: end, place: place})
	}
}

// sentenceEnd is the offset behind the sentence that may end with the stop at
// text[i], with its closing quotes and brackets; zero: none does.
func sentenceEnd(text []byte, i int) int {
	if text[i] == 0x82 { // the end of the ideographic full stop, or of another letter
		if i >= 2 && text[i-1] == 0x80 && text[i-2] == 0xE3 {
			return i + 1
		}
		return 0
	}
	end := i + 1
	for end < len(text) && strings.IndexByte(`"')]}*_`+"`", text[end]) >= 0 {
		end++
	}
	if end == len(text) {
		return end
	}
	if text[end] != ' ' {
		return 0 // 1.26, net/http.Client, …
	}
	if next := end + 1; next < len(text) && text[next] >= 'a' && text[next] <= 'z' {
		return 0
	}
	if text[i] == '.' && end == i+1 && isAbbreviation(text[:i]) {
		return 0
	}
	return end
}

// isAbbreviation looks at the word before a full stop: one that is known, or the
// initial of a name.
func isAbbreviation(before []byte) bool {
	word := before[bytes.LastIndexByte(before, ' ')+1:]
	word = bytes.TrimLeft(word, `("'[`)
	if len(word) == 1 && word[0] >= 'A' && word[0] <= 'Z' {
		return true
	}
	return len(word) > 0 && len(word) <= 6 && abbreviations[strings.ToLower(string(word))]
}
