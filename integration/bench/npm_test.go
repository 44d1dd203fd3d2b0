package bench

import "testing"

func TestVersionsOfNode(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"v20.15.0": true, "v20.14.9": false, "v22.0.1": true, "v18.20.4": false, "20.15.0": false, "": false} {
		if newEnough(version) != want {
			t.Errorf("%q: it is %v", version, !want)
		}
	}
}
