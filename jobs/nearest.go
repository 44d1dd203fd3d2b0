package jobs

import (
	"fmt"
	"strings"
)

// Nearest finds the name that text was most likely meant to be, whatever its
// case; empty: none is near. The names must be in lower case.
func Nearest(text string, names []string) string {
	best, distance := "", 1+(len(text)+1)/3
	for _, name := range names {
		if d := editDistance(strings.ToLower(text), name); d < min(distance, len(name)) {
			best, distance = name, d
		}
	}
	return best
}

// DidYouMean is the remedy for a name that is not among names.
func DidYouMean(text string, names []string) string {
	if near := Nearest(text, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) == 0 {
		return "there are none"
	}
	return "there are " + strings.Join(names, ", ")
}

// editDistance counts the bytes to insert, delete or replace to make a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
