package config

import (
	"net/url"
	"slices"
	"strings"

	"tidegate/jobs"
)

const natsForm = "it must look like nats://USER:PASSWORD@HOST:4222, with special characters of the password percent-encoded"

// NATSFault says what keeps one of a list of URLs with commas from being read, or
// puts a part of a password that was not encoded where a host or a path should be.
// It does not quote the URL. Empty: nothing does.
func NATSFault(servers string) string {
	for one := range strings.SplitSeq(servers, ",") {
		if one = strings.TrimSpace(one); !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		if parsed, err := url.Parse(one); err == nil && slices.Contains(natsSchemes, parsed.Scheme) && (parsed.User != nil || !strings.Contains(one, "@")) {
			continue
		}
		if fault := jobs.URLFault(one, natsSchemes...); fault != "" {
			return fault + "; " + natsForm
		}
		return natsForm
	}
	return ""
}

// natsSchemes are those of NATS, the usual one first.
var natsSchemes = []string{"nats", "tls", "ws", "wss"}
