package provider

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"tidegate/jobs"
)

var quiet = log.New(io.Discard, "", 0)

const (
	canary   = "cn4ry/5e+cr3t=K3y" // no known prefix, and characters that are spelled otherwise in a URL
	password = "p4ssw0rd-canary"
)

// leaks tells whether a value shows a secret in any way in which it can be
// written down.
func leaks(value any) bool {
	marshalled, _ := json.Marshal(value)
	text := fmt.Sprintf("%+v %#v %s", value, value, marshalled)
	if failed, ok := value.(*jobs.Error); ok && failed != nil {
		text += failed.Error()
	}
	for _, secret := range []string{canary, "cn4ry", password, base64.StdEncoding.EncodeToString([]byte("user:" + password))} {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

// TestNoKeyInErrors lets the key come back from everywhere.
func TestNoKeyInErrors(t *testing.T) {
	t.Parallel()
	for name := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, echoKey)
			client := newClient(t, Config{})
			user := strings.Replace(url, "http://", "http://user:"+password+"@", 1)
			check := func(base, shape string, status int) {
				target := at(fmt.Sprintf("%s/%d/%s", base, status, shape))
				target.Dialect, target.Key = name, canary
				if base == user {
					target.Key = "" // so that the password is sent
				}
				got, failed := complete(t, client, target)
				if got != nil {
					got.Body = nil // the provider's own, never shown in an error
				}
				if leaks(failed) || leaks(got) {
					t.Fatalf("status %d, %s: %+v, %+v", status, shape, failed, got)
				}
			}
			for _, base := range []string{url, user} {
				for status := 200; status < 600; status++ {
					check(base, "plain", status)
					check(base, "json", status)
				}
				for _, shape := range []string{"page", "code", "flat", "list", "answer"} {
					for _, status := range []int{200, 307, 400, 401, 404, 429, 500, 503} {
						check(base, shape, status)
					}
				}
			}
		})
	}
}

// echoKey answers /<status>/<shape>/… with the credentials that it was sent.
func echoKey(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	status, _ := strconv.Atoi(parts[1])
	sent := carried(r)
	bare := sent[strings.IndexByte(sent, ' ')+1:]
	if user, word, ok := r.BasicAuth(); ok {
		bare += " " + user + ":" + word + " https://user:" + word + "@host/x"
	}
	w.Header().Set("X-Request-Id", bare)
	w.Header().Set("Location", "https://"+bare+"@host.example/"+bare)
	w.WriteHeader(status)
	quoted, _ := json.Marshal(bare)
	fmt.Fprintf(w, map[string]string{
		"plain":  "wrong key %[1]s in " + sent,
		"page":   "<html><title>wrong key %[1]s</title>",
		"json":   `{"error":{"message":%[2]s,"type":"invalid_request_error"}}`,
		"code":   `{"error":{"message":"x","type":%[2]s,"code":%[2]s}}`,
		"flat":   `{"message":%[2]s,"code":401}`,
		"list":   `{"detail":[{"msg":%[2]s,"type":%[2]s}]}`,
		"answer": `{"id":%[2]s,"model":%[2]s,"choices":[{"message":{"content":"x"},"finish_reason":%[2]s}]}`,
	}[parts[2]], bare, quoted)
}

// carried is the header that a key or a password came in.
func carried(r *http.Request) string {
	for _, values := range r.Header {
		if leaks(values) {
			return values[0]
		}
	}
	return ""
}

// TestNoKeyInRecordedAnswers lets the key come back in each text of each recorded
// answer, so that a new dialect shows it nowhere.
func TestNoKeyInRecordedAnswers(t *testing.T) {
	t.Parallel()
	for name := range dialects {
		for _, file := range recordings(t, name) {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				recorded, _ := readRecorded(t, file)
				bodies := tainted(recorded.body, func(sent string) string { return "wrong key " + sent })
				url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
					sent := carried(r)
					if sent == "" {
						t.Errorf("the key is in no header: %v", r.Header)
					}
					i, _ := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
					w.WriteHeader(recorded.status)
					_, _ = w.Write(bodies[i](sent))
				})
				for i := range bodies {
					target := at(fmt.Sprintf("%s/%d", url, i))
					target.Dialect, target.Key, target.Stream = name, canary, isStream(file)
					got, failed := complete(t, newClient(t, Config{}), target)
					if got != nil {
						got.Body = nil
					}
					if leaks(failed) || leaks(got) {
						t.Errorf("%+v, %+v", failed, got)
					}
				}
			})
		}
	}
}

// tainted are copies of a JSON text, each with one of its texts replaced by what
// say makes of the credentials that were sent.
func tainted(body []byte, say func(sent string) string) (all []func(sent string) []byte) {
	for _, at := range jsonText.FindAllIndex(body, -1) {
		if at[1] < len(body) && body[at[1]] == ':' {
			continue // the name of a member
		}
		all = append(all, func(sent string) []byte {
			quoted, _ := json.Marshal(say(sent))
			return slices.Concat(body[:at[0]], quoted, body[at[1]:])
		})
	}
	return all
}

var jsonText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// TestNoKeyInFailures is the same where no HTTP response comes.
func TestNoKeyInFailures(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	t.Cleanup(secure.Close)
	echo := listen(t, func(conn net.Conn) { // the request itself, as if it were the answer
		r := bufio.NewReader(conn)
		for {
			line, err := r.ReadString('\n')
			if err != nil || strings.TrimSpace(line) == "" {
				return
			}
			if name, word, ok := strings.Cut(line, ": "); ok && (name == "Authorization" || strings.Contains(word, canary)) {
				_, _ = io.WriteString(conn, word)
				return
			}
		}
	})
	withUser := func(url string) string { return strings.Replace(url, "://", "://user:"+password+"@", 1) }
	for _, url := range []string{
		withUser("http://127.0.0.1:1"), withUser(secure.URL), withUser(echo), echo,
		withUser("ftp://host"), withUser("http://ho st/"), withUser("http://[::1"), "://" + canary,
	} {
		for _, key := range []jobs.Secret{canary, "", canary + "\n" + canary} {
			for name := range dialects {
				target := at(url)
				target.Dialect, target.Key = name, key
				if failed := refused(t, newClient(t, Config{}), target); leaks(failed) {
					t.Errorf("%s: %v", name, failed)
				}
			}
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	end := &endpoint{secrets: secretsOf([]string{"0123456789abcdef"}, nil)}
	for in, want := range map[string]string{
		"Incorrect API key provided: sk-proj-abcd1234. See x": "Incorrect API key provided: [redacted] See x",
		"Incorrect API key provided: sk-abc***xyz.":           "Incorrect API key provided: [redacted]",
		"your api key: ****1234 is invalid":                   "your [redacted] is invalid",
		"key abc********wxyz is wrong":                        "key [redacted] is wrong",
		"got Authorization: Bearer eyJhbGciOi.x.y, sorry":     "got Authorization: [redacted], sorry",
		"key 0123456789abcdef!":                               "key [redacted]!",
		"proxyconnect http://me:pass@proxy:3128/ failed":      "proxyconnect http://proxy:3128/ failed",
		"a\r\n  b\x00\tc\u2028d":                              "a b c d",
		"bad \xff\xfe bytes":                                  "bad ? bytes",
		"max tokens: 128000, task-based, risk-free, asks-for": "max tokens: 128000, task-based, risk-free, asks-for",
		"": "",
	} {
		if got := end.clean(in); got != want {
			t.Errorf("%q\nbecame %q\nwant   %q", in, got, want)
		}
	}
	if got := end.clean(strings.Repeat("é ", 5000)); utf8.RuneCountInString(got) != maxMessage || !strings.HasSuffix(got, "…") {
		t.Errorf("a long text became %d characters: %q", utf8.RuneCountInString(got), got)
	}
}

// A key that is as long as a text may be, or said so often that the text is cut in
// the middle of one, is hidden all the same.
func TestCleanHidesLongKeys(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 164, 1500, maxCleaned + 1000} {
		key := strings.Repeat("Ab3_", size/4)
		end := &endpoint{secrets: secretsOf([]string{key}, nil)}
		for pad := range 200 {
			text := strings.Repeat("p", pad) + strings.Repeat(" "+key, 1+2*maxCleaned/size)
			if got := end.clean(text); strings.Contains(got, "Ab3_Ab3_") {
				t.Fatalf("a key of %d bytes after %d others: %q", size, pad, got)
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("sk-proj-0123 Bearer x")
	f.Add("\xff 0123456789abcdef")
	end := &endpoint{secrets: secretsOf([]string{"0123456789abcdef"}, nil)}
	f.Fuzz(func(t *testing.T, text string) {
		for _, got := range []string{end.clean(text), end.cleanID(text)} {
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxMessage || strings.ContainsAny(got, "\x00\n\r") ||
				strings.Contains(got, "0123456789abcdef") {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}
