package provider

import (
	"net/http"
	"testing"
	"time"

	"tidegate/jobs"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	clock := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	type h = map[string]string
	for _, c := range []struct {
		name   string
		header h
		text   string
		class  jobs.Class
		want   time.Duration
	}{
		{"none", nil, "", jobs.Rate, 0},
		{"seconds", h{"Retry-After": "30"}, "", jobs.Rate, 30 * time.Second},
		{"fraction", h{"Retry-After": " 0.25 "}, "", jobs.Rate, 250 * time.Millisecond},
		{"duration", h{"Retry-After": "6m0s"}, "", jobs.Rate, 6 * time.Minute},
		{"milliseconds first", h{"Retry-After-Ms": "20.5", "Retry-After": "1"}, "", jobs.Rate, 20500 * time.Microsecond},
		{"zero milliseconds say nothing", h{"Retry-After-Ms": "0", "Retry-After": "2"}, "", jobs.Rate, 2 * time.Second},
		{"date RFC 1123", h{"Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT"}, "", jobs.Overload, 30 * time.Second},
		{"date RFC 850", h{"Retry-After": "Sunday, 06-Nov-94 08:50:07 GMT"}, "", jobs.Overload, 30 * time.Second},
		{"date asctime", h{"Retry-After": "Sun Nov  6 08:50:07 1994"}, "", jobs.Overload, 30 * time.Second},
		{"date by their clock", h{"Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT", "Date": "Sun, 06 Nov 1994 08:50:02 GMT"}, "", jobs.Overload, 5 * time.Second},
		{"date past", h{"Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT"}, "", jobs.Overload, 0},
		{"date absurd", h{"Retry-After": "Sun, 06 Nov 2994 08:00:00 GMT"}, "", jobs.Overload, maxWait},
		{"negative", h{"Retry-After": "-5"}, "", jobs.Rate, 0},
		{"absurd", h{"Retry-After": "1e300"}, "", jobs.Rate, maxWait},
		{"three days are believed", h{"Retry-After": "276480"}, "", jobs.Rate, 76*time.Hour + 48*time.Minute},
		{"seconds since 1970", h{"Retry-After": "784111807"}, "", jobs.Rate, maxWait}, // before 2001: a wait
		{"moment", h{"Retry-After": "1784111807", "Date": "Wed, 15 Jul 2026 10:36:17 GMT"}, "", jobs.Rate, 30 * time.Second},
		{"moment in milliseconds", h{"Retry-After": "1784111807500", "Date": "Wed, 15 Jul 2026 10:36:17 GMT"}, "", jobs.Rate, 30500 * time.Millisecond},
		{"moment past", h{"Retry-After": "1784111807", "Date": "Wed, 15 Jul 2026 10:37:17 GMT"}, "", jobs.Rate, 0},
		{"infinite", h{"Retry-After": "inf"}, "", jobs.Rate, 0},
		{"nonsense", h{"Retry-After": "soon"}, "", jobs.Rate, 0},
		{"for any class", h{"Retry-After": "3600"}, "", jobs.Quota, time.Hour},

		{"text seconds", nil, "Limit 3, Used 3. Please try again in 1.2s. Visit", jobs.Rate, 1200 * time.Millisecond},
		{"text milliseconds", nil, "Please try again in 20ms.", jobs.Rate, 20 * time.Millisecond},
		{"text long", nil, "Please retry in 10h17m5.7s", jobs.Rate, 10*time.Hour + 17*time.Minute + 5700*time.Millisecond},
		{"text words", nil, "please retry after 26 seconds.", jobs.Rate, 26 * time.Second},
		{"text words and more", nil, "Try again in 1 minute and 5 seconds", jobs.Rate, 65 * time.Second},
		{"text without unit", nil, "try again in 5", jobs.Rate, 0},
		{"text of something else", nil, "Try again in 3 parsecs", jobs.Rate, 0},
		{"text counts for trouble only", nil, "Please try again in 1.2s", jobs.BadRequest, 0},
		{"header before text", h{"Retry-After": "7"}, "Please try again in 1.2s", jobs.Rate, 7 * time.Second},
		{"text before reset", h{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s"}, "Please try again in 1.2s", jobs.Rate, 1200 * time.Millisecond},

		{"reset", h{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "12ms"}, "", jobs.Rate, 12 * time.Millisecond},
		{"reset in seconds", h{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "59.7"}, "", jobs.Rate, 59700 * time.Millisecond},
		{"reset as a moment", h{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "1784111807", "Date": "Wed, 15 Jul 2026 10:36:17 GMT"}, "", jobs.Rate, 30 * time.Second},
		{"reset of what is left", h{"X-Ratelimit-Remaining-Tokens": "3", "X-Ratelimit-Reset-Tokens": "6m0s"}, "", jobs.Rate, 0},
		{"reset of both", h{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "2s", "X-Ratelimit-Remaining-Tokens": "-1", "X-Ratelimit-Reset-Tokens": "1s"}, "", jobs.Rate, 2 * time.Second},
		{"reset is for rates", h{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s"}, "", jobs.Quota, 0},
		{"should retry is not read", h{"X-Should-Retry": "true"}, "", jobs.Rate, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for name, value := range c.header {
				header.Set(name, value)
			}
			if got := retryAfter(header, c.class, c.text, func() time.Time { return clock }); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1", "20", "12ms", "Please try again in 1.2s")
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT", "nan", "-1h", "retry in 99999999999999999999999h")
	f.Fuzz(func(t *testing.T, after, ms, reset, text string) {
		header := http.Header{
			"Retry-After": {after}, "Retry-After-Ms": {ms},
			"X-Ratelimit-Remaining-Tokens": {"0"}, "X-Ratelimit-Reset-Tokens": {reset},
		}
		if got := retryAfter(header, jobs.Rate, text, time.Now); got < 0 || got > maxWait {
			t.Fatalf("got %s", got)
		}
	})
}
