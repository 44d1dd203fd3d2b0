package jobs

// CompletionKind is the River kind of the job that carries a request's id.
const CompletionKind = "completion"

// CompletionArgs are the arguments of the River job that carries a request
// through its queue: the id alone, since the payload is in our own table. They
// satisfy river.JobArgs without importing River.
type CompletionArgs struct {
	RequestID string `json:"r"`
}

// Kind names the job for River.
func (CompletionArgs) Kind() string { return CompletionKind }
