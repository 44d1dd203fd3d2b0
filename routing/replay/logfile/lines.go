package logfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"tidegate/jobs"
)

// longestLine bounds a line, in bytes, so that a file that is none of lines takes no
// memory.
const longestLine = 1 << 20

var errLongLine = fmt.Errorf("the line is longer than %d bytes: this is no log, or its line breaks are gone; export it again", longestLine)

// A bounded reader ends with an error where a line is too long.
type bounded struct {
	from io.Reader
	line int // bytes of the line that is being read
}

// Read reads what is there, and counts.
func (b *bounded) Read(p []byte) (n int, err error) {
	n, err = b.from.Read(p)
	if last := bytes.LastIndexByte(p[:n], '\n'); last >= 0 {
		b.line = n - last - 1
	} else {
		b.line += n
	}
	if b.line > longestLine {
		return n, errLongLine
	}
	return n, err
}

// A jsonLines is a file of JSON lines.
type jsonLines struct {
	from *bufio.Reader
	line int
	take func(text string, into *jobs.Logged) error // reads one object
}

func (j *jsonLines) next(into *jobs.Logged) (int, error) {
	for {
		text, err := j.from.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return j.line + 1, err
		}
		if text != "" {
			j.line++
		}
		if text = strings.TrimSpace(text); text != "" {
			return j.line, j.take(text, into)
		}
		if err != nil {
			return j.line, err
		}
	}
}

// ledgerLine reads an object with the ledger's columns. What is no column of it is left
// alone.
func ledgerLine(text string, into *jobs.Logged) error {
	return eachMember(text, func(name, value string) error {
		c := byName[name]
		if c == nil || value == "" {
			return nil
		}
		if err := c.set(into, value); err != nil {
			return of(name, err)
		}
		return nil
	})
}

// eachMember goes through an object of JSON. A string comes without its quotes, null as
// nothing, an object as it stands.
func eachMember(text string, each func(name, value string) error) error {
	rest, ok := strings.CutPrefix(text, "{")
	if !ok {
		return errors.New("it is no object of JSON: each line is one, as {\"at\": …}")
	}
	for rest = space(rest); !strings.HasPrefix(rest, "}"); {
		name, after, err := value(rest)
		if err != nil || rest[0] != '"' {
			return errBrokenJSON
		}
		if after = space(after); !strings.HasPrefix(after, ":") {
			return errBrokenJSON
		}
		member, after, err := value(space(after[1:]))
		if err != nil {
			return err
		}
		if err := each(name, member); err != nil {
			return err
		}
		rest = space(after)
		if strings.HasPrefix(rest, ",") {
			if rest = space(rest[1:]); strings.HasPrefix(rest, "}") {
				return errBrokenJSON
			}
		} else if !strings.HasPrefix(rest, "}") {
			return errBrokenJSON
		}
	}
	if len(rest) > 1 {
		return errors.New("something stands behind the object; write each on a line of its own")
	}
	return nil
}

var errBrokenJSON = errors.New("it is no JSON, or is cut off; export the file again, or remove the line")

func space(text string) string { return strings.TrimLeft(text, " \t\r\n") }

// value reads the value that a text begins with, and says what stands behind it.
func value(text string) (value, rest string, err error) {
	if text == "" {
		return "", "", errBrokenJSON
	}
	switch text[0] {
	case '"':
		return quotedText(text)
	case '{', '[':
		end, err := endOf(text)
		if err != nil {
			return "", "", err
		}
		return text[:end], text[end:], nil
	}
	end := strings.IndexAny(text, ",}] \t\r\n")
	if end <= 0 {
		return "", "", errBrokenJSON
	}
	if value = text[:end]; value == "null" {
		value = ""
	}
	return value, text[end:], nil
}

func quotedText(text string) (value, rest string, err error) {
	end := endOfString(text)
	if end < 0 {
		return "", "", errBrokenJSON
	}
	value, rest = text[1:end], text[end+1:]
	if strings.IndexByte(value, '\\') >= 0 {
		if value, err = unescaped(text[:end+1]); err != nil {
			return "", "", errBrokenJSON
		}
	}
	return value, rest, nil
}

// endOfString is where the quote stands that ends a string; below zero: nowhere.
func endOfString(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// endOf is where an object or a list ends.
func endOf(text string) (int, error) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end := endOfString(text[i:])
			if end < 0 {
				return 0, errBrokenJSON
			}
			i += end
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, errBrokenJSON
}

func unescaped(text string) (value string, err error) {
	err = json.Unmarshal([]byte(text), &value)
	return value, err
}
