package simulator

import "strings"

// read takes the prose of a document: no code, no headings, no tables. A
// document that has nothing else is read as it is.
func (w *reading) read(document string) {
	document = document[:min(len(document), maxRead)]
	w.text = w.text[:0]
	lines := liner{w: w, base: -1}
	for line := range strings.SplitSeq(document, "\n") {
		lines.take(line)
	}
	w.split()
	if len(w.sentences) > 0 {
		return
	}
	w.text = w.text[:0]
	for line := range strings.SplitSeq(document, "\n") {
		w.append(line)
	}
	w.split()
}

// A liner decides line by line what is prose.
type liner struct {
	w      *reading
	base   int // the indentation of the first line; -1: not seen yet
	fenced bool
	inList bool
}

func (l *liner) take(line string) {
	text := strings.TrimSpace(line)
	if strings.HasPrefix(text, "```") || strings.HasPrefix(text, "~~~") {
		l.fenced = !l.fenced
		l.endParagraph()
		return
	}
	if text == "" || l.fenced || isMarkup(text) {
		l.endParagraph()
		return
	}
	depth := indentation(line)
	if l.base < 0 {
		l.base = depth
	}
	item, isItem := cutBullet(text)
	switch {
	case isItem && depth < l.base+4:
		l.endParagraph()
		l.inList = true
		l.w.append(item)
	case l.inList && line[0] != '\t':
		l.w.append(text) // an item goes on
	case depth >= l.base+4:
		l.endParagraph() // code
	default:
		l.w.append(text)
	}
}

func (l *liner) endParagraph() {
	l.inList = false
	if n := len(l.w.text); n > 0 && l.w.text[n-1] != '\n' {
		l.w.text = append(l.w.text, '\n')
	}
}

// append joins a line to the paragraph, with blanks collapsed.
func (w *reading) append(line string) {
	blank := len(w.text) > 0 && w.text[len(w.text)-1] != '\n'
	for i := range len(line) {
		b := line[i]
		if b == ' ' || b == '\t' || b == '\r' || b == '\v' || b == '\f' || b == '\n' {
			blank = len(w.text) > 0 && w.text[len(w.text)-1] != '\n'
			continue
		}
		if blank {
			w.text = append(w.text, ' ')
			blank = false
		}
		w.text = append(w.text, b)
	}
}

// indentation counts blanks, a tab as four.
func indentation(line string) int {
	depth := 0
	for i := range len(line) {
		switch line[i] {
		case ' ':
			depth++
		case '\t':
			depth += 4
		default:
			return depth
		}
	}
	return depth
}

// isMarkup tells whether a line is a heading, a tag, a row of a table or a rule.
func isMarkup(text string) bool {
	switch text[0] {
	case '#':
		return strings.HasPrefix(strings.TrimLeft(text, "#"), " ")
	case '|':
		return true
	case '<':
		return text[len(text)-1] == '>'
	}
	for i := range len(text) {
		if b := text[i]; b >= 0x80 || isWordByte(b) {
			return false
		}
	}
	return true
}

// cutBullet takes "- ", "* ", "• " or "1. " away.
func cutBullet(text string) (string, bool) {
	for _, bullet := range []string{"- ", "* ", "+ ", "• "} {
		if rest, found := strings.CutPrefix(text, bullet); found {
			return rest, true
		}
	}
	digits := 0
	for digits < len(text) && digits < 3 && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits+1 < len(text) && (text[digits] == '.' || text[digits] == ')') && text[digits+1] == ' ' {
		return text[digits+2:], true
	}
	return text, false
}
