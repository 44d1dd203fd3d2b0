package kubernetes

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// lint reads a Dockerfile as the builder does, and says what its own linter finds.
func lint(text string) (findings []string, stages []instructions.Stage, err error) {
	read, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	for _, warning := range read.Warnings {
		findings = append(findings, warning.Short)
	}
	rules := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		findings = append(findings, fmt.Sprintf("%s: %s %v", rule, message, at))
	}})
	stages, _, err = instructions.Parse(read.AST, rules)
	return findings, stages, err
}

func TestDockerfileIsLinted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	findings, stages, err := lint(string(text))
	if err != nil || len(findings) > 0 || len(stages) != 2 || stages[1].BaseName != "scratch" {
		t.Errorf("%d stages, %v, %v", len(stages), findings, err)
	}
	for wrong, says := range map[string]string{
		"FROM golang as build\n":              "FromAsCasing",
		"FROM golang AS Build\n":              "StageNameCasing",
		"FROM scratch\nMAINTAINER me\n":       "MaintainerDeprecated",
		"FROM a\nRUN true \\\n\n  && false\n": "Empty continuation line",
	} {
		if findings, _, _ := lint(wrong); !strings.Contains(fmt.Sprint(findings), says) {
			t.Errorf("%q has %v, want %s", wrong, findings, says)
		}
	}
	if _, _, err := lint("FROM scratch\nCOYP a b\n"); err == nil {
		t.Error("an instruction that there is not is taken")
	}
}
