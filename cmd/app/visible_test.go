package app

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/publish"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Plain — text,\n\tin lines.": "Plain — text,\n\tin lines.",
		"lines\r\nof Windows":        "lines\nof Windows",
		"\x1b[2J\x1b]0;title\a":      "␛[2J␛]0;title␇",
		"done\rUNDONE\x7f":           "done␍UNDONE␡",
		"\u009b31m":                  "<U+009B>31m",
		"\x9b31m":                    "\ufffd31m",
		"\u202etxt.exe":              "<U+202E>txt.exe",
		"עברית\u200f":                "עברית\u200f",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
	if got := oneLine("a\r\n b\x1b\t c"); got != "a b␛ c" {
		t.Errorf("on one line it is %q", got)
	}
}

// Whatever a provider or a producer wrote, no command hands it to the terminal as
// a command; JSON stays exact.
func TestTextForPeopleIsHarmless(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]0;owned\a\x1b[2J"
	body, err := json.Marshal(map[string]any{"choices": []any{map[string]any{"message": map[string]string{"content": evil}}}})
	if err != nil {
		t.Fatal(err)
	}
	event := jobs.ResultEvent{CustomID: evil}
	event.State, event.Body = jobs.StateAnswered, body
	refused := event
	refused.State, refused.Code, refused.Message = jobs.StateRefused, evil, evil
	var out bytes.Buffer
	for _, e := range []*jobs.ResultEvent{&event, &refused} {
		if err := writeForPerson(&out, e); err != nil {
			t.Fatal(err)
		}
		line := publish.Body(e)
		out.WriteString(eventLine(&line))
	}
	failing := store.Status{Circuits: []jobs.Circuit{{Target: "a", State: jobs.CircuitOpen, Reason: evil}}}
	if err := writeStatus(&out, &failing, viewStatus(failing, &config.Config{})); err != nil {
		t.Fatal(err)
	}
	if err := (&options{}).printCircuits(&out, &jobs.Fleet{Circuits: failing.Circuits}); err != nil {
		t.Fatal(err)
	}
	if err := (&pausedView{Paused: true, Pauses: []pauseView{{Reason: evil}}}).write(&out); err != nil {
		t.Fatal(err)
	}
	newProgress(&out, "nothing", 0).Say("%s", evil)
	(&examination{findings: []finding{{About: "a", Level: levelWrong, Found: evil}}}).write(&out)
	d := &demo{out: &out}
	if err := d.conclude(t.Context(), &demoReport{read: []jobs.ResultEvent{event}}, ""); err != nil {
		t.Fatal(err)
	}
	if at := strings.IndexFunc(out.String(), func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }); at >= 0 {
		t.Errorf("it writes %q", out.String())
	}
	var exact bytes.Buffer
	if err := writeWhole(&exact, &event); err != nil || !strings.Contains(exact.String(), `\u001b]0;owned\u0007`) {
		t.Errorf("JSON says %s, %v", exact.String(), err)
	}
}
