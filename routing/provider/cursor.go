package provider

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
)

// maxDepth is how deep objects and lists may nest, the same as encoding/json
// allows.
const maxDepth = 10_000

// A cursor walks once through a JSON text, checks it as strictly as
// encoding/json does, and copies nothing. Both hot paths, the body that goes
// out and the answer that comes in, touch a few members of a large object;
// this takes a small part of the time of a decoder. The first mistake makes it
// bad for good: more says no from then on, so that loops end.
//
//	for c.into('{'); c.more('}'); {
//		switch string(c.key()) {
//		case "id":
//			id = c.text()
//		default:
//			c.skip()
//		}
//	}
type cursor struct {
	data  []byte
	at    int
	depth int
	fresh bool // just inside a bracket: no comma is due
	bad   bool
}

// peek returns the first byte of what comes next, or zero at the end.
func (c *cursor) peek() byte {
	for c.at < len(c.data) {
		switch c.data[c.at] {
		case ' ', '\n', '\r', '\t':
			c.at++
		default:
			return c.data[c.at]
		}
	}
	return 0
}

// ended tells whether the text was sound and nothing is left of it.
func (c *cursor) ended() bool { return !c.bad && c.peek() == 0 && c.at == len(c.data) }

// into steps into the value if it begins with open, which is '{' or '['. It
// steps over any other value and says no.
func (c *cursor) into(open byte) bool {
	if c.peek() != open {
		c.skip()
		return false
	}
	c.at++
	c.depth++
	c.fresh = true
	if c.depth > maxDepth {
		c.bad = true
	}
	return !c.bad
}

// more tells whether there is another member, and steps out if not.
func (c *cursor) more(closing byte) bool {
	if c.bad {
		return false
	}
	next := c.peek()
	if next == closing {
		c.at++
		c.depth--
		c.fresh = false
		return false
	}
	if !c.fresh {
		if next != ',' {
			c.bad = true
			return false
		}
		c.at++
		next = c.peek()
	}
	c.fresh = false
	if c.at == len(c.data) || next == closing {
		c.bad = true
	}
	return !c.bad
}

// key returns the name of the member and stops at its value.
func (c *cursor) key() []byte {
	name := unescape(c.quoted())
	if c.peek() != ':' {
		c.bad = true
		return nil
	}
	c.at++
	c.peek()
	return name
}

// text returns a string value; any other value is stepped over and empty. It is
// a part of the data itself unless it has escapes.
func (c *cursor) text() []byte {
	if c.peek() != '"' {
		c.skip()
		return nil
	}
	return unescape(c.quoted())
}

// count returns a whole number that is not negative, at most a billion; any
// other value is stepped over and zero.
func (c *cursor) count() int {
	c.peek()
	from := c.at
	c.skip()
	n := 0
	for _, digit := range c.data[from:c.at] {
		if digit < '0' || digit > '9' {
			return 0
		}
		n = min(10*n+int(digit-'0'), mostTokens)
	}
	return n
}

// filled steps over a value and tells whether there is anything in it: not
// null, false, "", {} or [].
func (c *cursor) filled() bool {
	kind := c.peek()
	from := c.at
	c.skip()
	switch kind {
	case 'n', 'f', 0:
		return false
	case '"':
		return c.at-from > 2
	case '{', '[':
		return len(bytes.TrimSpace(c.data[from+1:max(from+1, c.at-1)])) > 0
	}
	return true
}

// skip steps over one value of any kind.
func (c *cursor) skip() {
	switch c.peek() {
	case '{':
		for c.into('{'); c.more('}'); {
			c.quoted()
			if c.peek() != ':' {
				c.bad = true
				return
			}
			c.at++
			c.skip()
		}
	case '[':
		for c.into('['); c.more(']'); {
			c.skip()
		}
	case '"':
		c.quoted()
	case 't':
		c.word("true")
	case 'f':
		c.word("false")
	case 'n':
		c.word("null")
	default:
		c.number()
	}
}

func (c *cursor) word(word string) {
	if !bytes.HasPrefix(c.data[c.at:], []byte(word)) {
		c.bad = true
		return
	}
	c.at += len(word)
}

func (c *cursor) number() {
	c.one("-")
	if !c.one("0") && c.digits() == 0 {
		c.bad = true
	}
	if c.one(".") && c.digits() == 0 {
		c.bad = true
	}
	if c.one("eE") {
		c.one("+-")
		if c.digits() == 0 {
			c.bad = true
		}
	}
}

// one steps over a byte if it is one of these.
func (c *cursor) one(of string) bool {
	if c.at == len(c.data) || strings.IndexByte(of, c.data[c.at]) < 0 {
		return false
	}
	c.at++
	return true
}

func (c *cursor) digits() int {
	from := c.at
	for c.at < len(c.data) && c.data[c.at] >= '0' && c.data[c.at] <= '9' {
		c.at++
	}
	return c.at - from
}

// quoted steps over a string and returns what is between its quotes, escapes as
// they are.
func (c *cursor) quoted() []byte {
	if c.peek() != '"' || c.bad {
		c.bad = true
		return nil
	}
	from := c.at + 1
	for i := from; i < len(c.data); {
		i = plain(c.data, i)
		if i == len(c.data) {
			break
		}
		switch c.data[i] {
		case '"':
			c.at = i + 1
			return c.data[from:i]
		case '\\':
			size := escapeSize(c.data[i:])
			if size == 0 {
				c.bad = true
				return nil
			}
			i += size
		default: // a control character
			c.bad = true
			return nil
		}
	}
	c.bad = true
	return nil
}

// plain returns the first place from i on that is a quote, a backslash or a
// control character, eight bytes at a time: prompts are long strings.
func plain(data []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		word := binary.LittleEndian.Uint64(data[i:])
		quote, slash := word^(ones*'"'), word^(ones*'\\')
		// A borrow marks each byte below 0x20, each quote, each backslash.
		if ((word-ones*0x20)&^word|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break
		}
	}
	for ; i < len(data); i++ {
		if b := data[i]; b == '"' || b == '\\' || b < ' ' {
			break
		}
	}
	return i
}

// escapeSize is the length of the escape that data begins with; zero: it is
// none.
func escapeSize(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(data) >= 6 && hex(data[2]) && hex(data[3]) && hex(data[4]) && hex(data[5]) {
			return 6
		}
	}
	return 0
}

func hex(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f'
}

// unescape gives the text of a string from between its quotes.
func unescape(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	quoted := append(append([]byte{'"'}, raw...), '"')
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return nil
	}
	return []byte(text)
}
