package jobs

import "testing"

func TestErrorScope(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  Error
		want Scope
	}{
		{Error{Class: Auth, Status: 401}, OnKey},
		{Error{Class: Auth, Status: 403, Code: "permission_error"}, OnKey},
		{Error{Class: Auth}, OnKey},
		{Error{Class: Auth, Status: 401, Code: "invalid_model"}, OnTarget},
		{Error{Class: Auth, Status: 403, Code: "model_not_found"}, OnTarget},
		{Error{Class: Auth, Status: 404}, OnTarget},
		{Error{Class: Auth, Status: 410}, OnTarget},
		{Error{Class: Auth, Status: 400}, OnTarget},
		{Error{Class: Auth, Status: 429}, OnTarget},
		{Error{Class: Quota, Status: 402}, OnAccount},
		{Error{Class: Quota, Status: 404, Code: "model"}, OnAccount},
		{Error{Class: Overload, Status: 503}, OnTarget},
		{Error{Class: BadRequest, Status: 400}, OnRequest},
	} {
		if got := test.err.Scope(); got != test.want {
			t.Errorf("%s: the scope is %s, want %s", test.err.Error(), got, test.want)
		}
	}
}
