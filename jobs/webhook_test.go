package jobs_test

import (
	"net/netip"
	"strings"
	"testing"

	"tidegate/jobs"
)

func TestCheckWebhookURL(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]struct {
		public, private bool // whether it is good without, and with, private networks
		says            string
	}{
		"https://example.com/hooks?token=s3cret":     {true, true, ""},
		"https://example.com:8443":                   {true, true, ""},
		"https://93.184.216.34/":                     {true, true, ""},
		"https://[2606:2800:220:1::1]/":              {true, true, ""},
		"http://example.com/":                        {false, true, "https://"}, // the dial says no, if it is public
		"http://93.184.216.34/":                      {false, false, "https"},
		"https://localhost/":                         {false, true, "private network"},
		"https://LOCALHOST./":                        {false, true, "private network"},
		"http://127.0.0.1:9000/done":                 {false, true, ""},
		"https://10.1.2.3/":                          {false, true, "private network"},
		"https://[::1]/":                             {false, true, "private network"},
		"https://[::ffff:10.1.2.3]/":                 {false, true, "private network"},
		"https://169.254.169.254/latest":             {false, false, "no receiver"},
		"https://[fe80::1]/":                         {false, false, "no receiver"},
		"https://0.0.0.0/":                           {false, false, "no receiver"},
		"https://user:s3cret@example.com/":           {false, false, "leave them out"},
		"https://example.com/#s3cret":                {false, false, "#"},
		"ftp://example.com/s3cret":                   {false, false, "https://"},
		"https:///s3cret":                            {false, false, "https://HOST/PATH"},
		"https://example.com:99999/s3cret":           {false, false, "port"},
		"https://exa mple.com/s3cret":                {false, false, "white space"},
		"":                                           {false, false, "must not be empty"},
		"https://a/" + strings.Repeat("s3cret", 400): {false, false, "longer than"},
	} {
		for private, good := range map[bool]bool{false: want.public, true: want.private} {
			err := jobs.CheckWebhookURL(at, private)
			switch {
			case (err == nil) != good:
				t.Errorf("%.60s, private %v: %v", at, private, err)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("%.60s: the error tells: %v", at, err)
			case err != nil && !private && !strings.Contains(err.Error(), want.says):
				t.Errorf("%.60s: %v", at, err)
			}
		}
	}
}

func TestCheckWebhookAddr(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{ // p: private, n: nobody's, else public
		"8.8.8.8": "", "2001:4860:4860::8888": "", "11.0.0.1": "", "172.32.0.1": "", "192.169.0.1": "", "100.128.0.1": "", "1.1.1.1": "",
		"127.0.0.1": "p", "127.9.9.9": "p", "10.0.0.1": "p", "172.16.0.1": "p", "172.31.255.255": "p", "192.168.1.1": "p", "100.64.0.1": "p", "::1": "p", "fd00::1": "p",
		"::ffff:127.0.0.1": "p", "::ffff:192.168.0.1": "p",
		"169.254.169.254": "n", "::ffff:169.254.169.254": "n", "fe80::1": "n", "fe80::1%eth0": "n", "0.0.0.0": "n", "0.1.2.3": "n", "::": "n", "224.0.0.1": "n",
		"255.255.255.255": "n", "240.0.0.1": "n", "ff02::1": "n", "64:ff9b::a9fe:a9fe": "n", "64:ff9b::7f00:1": "n", "2002:7f00:1::": "n", "2001:0:1::": "n", "::7f00:1": "n",
		"198.18.0.1": "n", "192.0.2.1": "n", "2001:db8::1": "n", "fec0::1": "n",
	} {
		for _, scheme := range []string{"https", "http"} {
			for _, private := range []bool{false, true} {
				err := jobs.CheckWebhookAddr(netip.MustParseAddr(addr), scheme, private)
				good := want == "" && scheme == "https" || want == "p" && private
				if (err == nil) != good {
					t.Errorf("%s by %s, private %v: %v", addr, scheme, private, err)
				}
			}
		}
	}
}

func TestWebhookShowsNoQuery(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"https://example.com/a%2Fb/c?token=s3cret": "https://example.com/a%2Fb/c?…",
		"https://example.com:8443":                 "https://example.com:8443",
		"s3cret":                                   "[redacted]",
	} {
		hook := jobs.Webhook{URL: jobs.Secret(at)}
		if got := hook.Where(); got != want {
			t.Errorf("%s is shown as %s", at, got)
		}
	}
}

func TestValidateWebhook(t *testing.T) {
	t.Parallel()
	good := jobs.Webhook{Tenant: "acme", Name: "nightly", URL: "https://example.com/", Events: jobs.WebhookEvents()}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*jobs.Webhook){
		"tenant: ":       func(w *jobs.Webhook) { w.Tenant = "a.b" },
		"name: ":         func(w *jobs.Webhook) { w.Name = "a\nb" },
		"url: ":          func(w *jobs.Webhook) { w.URL = "http://example.com/" },
		"events: name":   func(w *jobs.Webhook) { w.Events = nil },
		"events: there":  func(w *jobs.Webhook) { w.Events = []jobs.WebhookEvent{"batch.done"} },
		"events: batch.": func(w *jobs.Webhook) { w.Events = []jobs.WebhookEvent{"batch.failed", "batch.failed"} },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestWebhookPayload(t *testing.T) {
	t.Parallel()
	args := jobs.WebhookArgs{Webhook: "we_1", Event: "evt_1", Type: jobs.WebhookBatchExpired, Batch: "batch_1", At: 1700000000}
	const want = `{"id":"evt_1","object":"event","created_at":1700000000,"type":"batch.expired","data":{"id":"batch_1"}}`
	if got := string(args.Payload()); got != want {
		t.Errorf("it is %s", got)
	}
}
