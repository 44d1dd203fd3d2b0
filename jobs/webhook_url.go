package jobs

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxWebhookURL bounds the URL of a webhook, in bytes.
const maxWebhookURL = 2048

// CheckWebhookURL says what is wrong with the URL of a webhook, without a word of it.
// private tells that it may lead into a private network; only then may it be http.
// Where its host leads is looked at again when it is dialed.
func CheckWebhookURL(at string, private bool) error {
	const form = "it must look like https://HOST/PATH"
	if at == "" {
		return errors.New("must not be empty; " + form)
	}
	if len(at) > maxWebhookURL {
		return fmt.Errorf("is longer than %d bytes", maxWebhookURL)
	}
	if fault := URLFault(at, "https", "http"); fault != "" {
		return fmt.Errorf("%s; %s", fault, form)
	}
	parsed, err := url.Parse(at)
	switch {
	case err != nil || parsed.Hostname() == "":
		return errors.New(form)
	case parsed.User != nil:
		return errors.New("has a user or a password in it: leave them out; the signature tells the receiver who sends")
	case parsed.Fragment != "":
		return errors.New("has a # in it, which is never sent")
	case parsed.Scheme == "http" && !private:
		return errors.New("must begin with https://; http is for a private network, where that is allowed")
	}
	host := strings.ToLower(strings.TrimSuffix(parsed.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return CheckWebhookAddr(addr, parsed.Scheme, private)
	}
	if !private && (host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		return errNotPublic
	}
	return nil
}

var (
	errNotPublic  = errors.New("leads into a private network, which is not allowed to it")
	errNoReceiver = errors.New("leads to an address at which no receiver can be")
	errNotPrivate = errors.New("is http and leads to the public internet: use https")
)

// CheckWebhookAddr says whether a webhook may be dialed at an address.
func CheckWebhookAddr(addr netip.Addr, scheme string, private bool) error {
	addr = addr.WithZone("").Unmap()
	switch {
	case inAny(addr, metadata):
		return errNoReceiver
	case inAny(addr, privateNetworks):
		if !private {
			return errNotPublic
		}
		return nil
	case inAny(addr, nobody) || !addr.IsGlobalUnicast():
		return errNoReceiver
	case scheme != "https":
		return errNotPrivate
	default:
		return nil
	}
}

// privateNetworks are this machine, and what is behind one's own router or a
// provider's. In nobody are those in which no receiver is: link-local ones, where clouds
// tell their machines their credentials, those for documents and tests, those for many,
// and those that lead to an IPv4 address by a detour. In metadata are those at which clouds
// tell credentials within private networks. They are asked first, then private networks.
var (
	privateNetworks = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
	metadata        = prefixes("fd00:ec2::/32", "fd20:ce::/64", "100.100.100.200/32")
	nobody          = prefixes("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/3", "::/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "fe80::/10", "fec0::/10", "ff00::/8")
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func inAny(addr netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// Where is the URL as it may be shown: without its query, which may hold a credential.
func (w *Webhook) Where() string {
	parsed, err := url.Parse(w.URL.Reveal())
	if err != nil || parsed.Host == "" {
		return w.URL.String()
	}
	shown := url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path, RawPath: parsed.RawPath}
	if parsed.RawQuery == "" {
		return shown.String()
	}
	return shown.String() + "?…"
}
