package routing

import (
	"bytes"
	"time"
	"unicode"
	"unicode/utf8"

	"tidegate/jobs"
)

const (
	textLooked   = 2 << 10 // bytes of an answer that are looked at
	askedLooked  = 4 << 10 // bytes of a question, half from its beginning and half from its end
	echoLeast    = 120     // bytes of an answer below which it is no matter whether it stands in the question
	refusalMost  = 600     // bytes of a refusal: a longer text that begins like one goes on
	refusalHead  = 160     // bytes in which it says so
	brokenShare  = 0.02    // of the letters that stand for bytes that are none
	rotesFrom    = 40      // words of a text that may repeat itself
	rotesShare   = 0.35    // of its rows of three words that are different
	shingle      = 6       // bytes that are looked for in the question
	shingleStep  = 3
	shingleSlots = 1 << 15
)

// replyOf is an answer as a baseline sees it. It looks at so much of it and no
// more, and copies nothing.
func replyOf(body []byte, answer *jobs.Answer, latency time.Duration) reply {
	said := listen(answer.Body)
	s := reply{
		family: familyOf(answer.Model), tokens: answered(answer.Usage), asked: answer.Usage.Input, echo: -1,
		refuses: said.refusal || answer.FinishReason == takenAway || refusing(said.text),
	}
	if latency > 0 {
		s.speed = float64(answer.Usage.Output) / latency.Seconds()
	}
	if said.calls && len(said.text) == 0 {
		return s
	}
	text := said.text[:min(len(said.text), textLooked)]
	s.garbled = garbledText(text)
	if len(said.text) >= echoLeast {
		s.echo = echoed(text, body)
	}
	return s
}

// refusing tells whether a text begins as models begin that will not answer.
func refusing(text []byte) bool {
	if len(text) == 0 || len(text) > refusalMost {
		return false
	}
	head := bytes.ToLower(text[:min(len(text), refusalHead)])
	head = bytes.ReplaceAll(head, []byte("’"), []byte("'"))
	for _, words := range refusalWords {
		if bytes.Contains(head, words) {
			return true
		}
	}
	return false
}

var refusalWords = [][]byte{
	[]byte("i'm sorry"), []byte("i am sorry"), []byte("i apologize"), []byte("i can't "), []byte("i cannot "), []byte("i can not "),
	[]byte("i'm unable"), []byte("i am unable"), []byte("i won't "), []byte("as an ai"), []byte("i'm not able to"), []byte("against my guidelines"),
	[]byte("es tut mir leid"), []byte("ich kann nicht"), []byte("ich kann dir dabei nicht"), []byte("je suis désolé"), []byte("je ne peux pas"),
	[]byte("lo siento"), []byte("no puedo "), []byte("mi dispiace"), []byte("desculpe"), []byte("抱歉"), []byte("对不起"), []byte("申し訳"), []byte("죄송"),
}

// garbledText tells whether a text is broken: letters that stand for bytes that are
// none, the same few words again and again, or letters of scripts that do not go
// together.
func garbledText(text []byte) bool {
	letters, broken := 0, bytes.Count(text, []byte(`\ufffd`))+bytes.Count(text, []byte(`\uFFFD`))
	var scripts [scriptsKnown]int
	for at := 0; at < len(text); {
		r, size := rune(text[at]), 1
		if r >= utf8.RuneSelf {
			if r, size = utf8.DecodeRune(text[at:]); r == utf8.RuneError && (size > 1 || len(text)-at >= utf8.UTFMax) {
				broken++
			}
		}
		at += size
		if script := scriptOf(r); script >= 0 {
			letters++
			scripts[script]++
		}
	}
	return float64(broken) > brokenShare*float64(letters+broken) || mixed(&scripts, letters) || rote(text)
}

// The scripts that are told from each other; those of East Asia stand together.
const (
	latin = iota
	cyrillic
	arabic
	eastern
	indian
	otherScript
	scriptsKnown
)

func scriptOf(r rune) int {
	switch {
	case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || 0xC0 <= r && r < 0x250:
		return latin
	case r < 0x250:
		return -1
	case 0x400 <= r && r < 0x530:
		return cyrillic
	case 0x590 <= r && r < 0x780:
		return arabic
	case 0x900 <= r && r < 0xE00:
		return indian
	case 0x2E80 <= r && r < 0xA000 || 0xAC00 <= r && r < 0xD7B0:
		return eastern
	case unicode.IsLetter(r):
		return otherScript
	default:
		return -1
	}
}

// mixed tells whether many letters are of a third script, and more: two go together
// in many texts, three in hardly any.
func mixed(scripts *[scriptsKnown]int, letters int) bool {
	if letters < rotesFrom {
		return false
	}
	used := 0
	for _, n := range scripts {
		if 20*n > letters {
			used++
		}
	}
	return used > 2
}

// rote tells whether a text says the same few words again and again.
func rote(text []byte) bool {
	var seen [64]uint64 // a bit for a row of three words
	var words [3]uint32
	rows, different, hash, inWord := 0, 0, uint32(2166136261), false
	for _, c := range text {
		if c > ' ' {
			hash, inWord = (hash^uint32(c))*16777619, true
			continue
		}
		if !inWord {
			continue
		}
		words[rows%3] = hash
		hash, inWord = 2166136261, false
		if rows++; rows < 3 {
			continue
		}
		row := words[(rows-3)%3]*31*31 + words[(rows-2)%3]*31 + words[(rows-1)%3]
		row *= 2654435761
		bit := uint64(1) << (row >> 26)
		if slot := &seen[row>>20&63]; *slot&bit == 0 {
			*slot |= bit
			different++
		}
	}
	return rows >= rotesFrom && float64(different) < rotesShare*float64(rows-2)
}

// echoed is the part of a text that stands in the question, too, by short pieces of
// both.
func echoed(text, question []byte) float64 {
	var seen [shingleSlots / 64]uint64
	half := askedLooked / 2
	if len(question) <= askedLooked {
		markShingles(&seen, question)
	} else {
		markShingles(&seen, question[:half])
		markShingles(&seen, question[len(question)-half:])
	}
	all, found := 0, 0
	for at := 0; at+shingle <= len(text); at += shingleStep {
		slot := shingleOf(text[at:])
		all++
		if seen[slot/64]&(1<<(slot%64)) != 0 {
			found++
		}
	}
	return float64(found) / float64(max(all, 1))
}

func markShingles(seen *[shingleSlots / 64]uint64, text []byte) {
	last := uint64(0)
	for at, c := range text {
		last = last>>8 | uint64(c)<<(8*(shingle-1))
		if at >= shingle-1 {
			slot := slotOf(last)
			seen[slot/64] |= 1 << (slot % 64)
		}
	}
}

// shingleOf is where the first bytes of a text are noted.
func shingleOf(text []byte) uint64 {
	first := uint64(0)
	for at, c := range text[:shingle] {
		first |= uint64(c) << (8 * at)
	}
	return slotOf(first)
}

// slotOf takes small letters and others for the same.
func slotOf(bytes uint64) uint64 { return (bytes | 0x202020202020) * 0x9E3779B97F4A7C15 >> 49 }
