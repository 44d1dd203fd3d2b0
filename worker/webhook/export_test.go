package webhook

// What tests look at by itself.
var (
	NewClient = newClient
	FaultOf   = faultOf
)
