package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"tidegate/integration/bench"
)

const (
	// vocabulary is how many words there are, and seed has them be the same each time.
	vocabulary, seed = 5000, 1
	// leastLine is how many bytes a line has that says hardly anything.
	leastLine = 300
)

// writeInput writes a batch file of so many lines and bytes, and returns its path.
func writeInput(lines int, bytes int64) (path string, err error) {
	bench.Say("writing %d lines, %d bytes", lines, bytes)
	file, err := os.CreateTemp("", "tidegate-batch-*.jsonl")
	if err != nil {
		return "", err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	to := bufio.NewWriter(file)
	words := newText()
	var written int64
	for i := range lines {
		length := bytes*int64(i+1)/int64(lines) - written
		written += length
		if _, err := to.WriteString(words.line(i, int(length))); err != nil {
			return "", err
		}
	}
	return file.Name(), to.Flush()
}

// text is words by Zipf's law, as those of people are.
type text struct {
	words []string
	next  *rand.Zipf
}

func newText() *text {
	random := rand.New(rand.NewPCG(seed, seed))
	t := &text{next: rand.NewZipf(random, 1.1, 3, vocabulary-1)}
	for range vocabulary {
		word := make([]byte, 2+random.IntN(8))
		for i := range word {
			word[i] = "etaoinshrdlucmfwypvbgkjqxz"[min(random.IntN(26), random.IntN(26))]
		}
		t.words = append(t.words, string(word))
	}
	return t
}

// line is one of a batch file, of so many bytes with its end.
func (t *text) line(i, length int) string {
	head := fmt.Sprintf(`{"custom_id":"doc-%07d","method":"POST","url":"/v1/chat/completions","body":{"model":"sim","max_tokens":50,"messages":[{"role":"user","content":"Summarise: `, i)
	const tail = "\"}]}}\n"
	var line strings.Builder
	line.Grow(length)
	line.WriteString(head)
	for room := length - len(head) - len(tail); room > 0; {
		word := t.words[t.next.Uint64()] + " "
		word = word[:min(len(word), room)]
		line.WriteString(word)
		room -= len(word)
	}
	line.WriteString(tail)
	return line.String()
}
