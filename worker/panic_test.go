package worker

import (
	"errors"
	"testing"
)

// What is told of a panic is no text that came from elsewhere.
func TestPanicGist(t *testing.T) {
	t.Parallel()
	gistOf := func(do func()) (gist string) {
		defer func() { gist = panicGist(recover()) }()
		do()
		return ""
	}
	var list []int
	for want, do := range map[string]func(){
		"string":              func() { panic("secret") },
		"*errors.errorString": func() { panic(errors.New("secret")) },
		"runtime error: index out of range [3] with length 0": func() { list[len("abc")]++ },
	} {
		if got := gistOf(do); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
