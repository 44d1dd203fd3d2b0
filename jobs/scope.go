package jobs

import "strings"

// Scope tells how far the refusal reaches: as far as its class, but an AUTH
// that is about the model or the address (a 404, a 429 for want of any limit, or a
// code that names the model) is the target's own: the same key may well be good for
// the next model.
func (e *Error) Scope() Scope {
	scope := e.Class.Scope()
	if scope != OnKey || e.Status == 0 {
		return scope
	}
	if e.Status != 401 && e.Status != 403 || strings.Contains(e.Code, "model") {
		return OnTarget
	}
	return scope
}
