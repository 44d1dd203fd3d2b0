package config

// Webhooks is how webhooks are told of the ends of batches.
type Webhooks struct {
	// AllowPrivate lets all webhooks lead into private networks, those too that keys made
	// over HTTP; a webhook of `webhooks create --allow-private` may by itself.
	AllowPrivate bool `yaml:"allow_private"`
}
