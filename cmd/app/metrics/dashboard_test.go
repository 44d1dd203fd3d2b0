package metrics_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// A grafana is a dashboard, as far as it has to do with metrics and where panels are.
type grafana struct {
	UID           string
	Title         string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type, Definition string
			Datasource             struct{ UID string }
		}
	}
}

type panel struct {
	ID          int
	Type, Title string
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		Expr       string
		Datasource struct{ UID string }
	}
}

func (p *panel) covers(x, y int) bool {
	return x >= p.GridPos.X && x < p.GridPos.X+p.GridPos.W && y >= p.GridPos.Y && y < p.GridPos.Y+p.GridPos.H
}

// filled are what Grafana puts in for its variables.
var filled = strings.NewReplacer("$__rate_interval", "5m", "$route", ".*", "$target", ".*")

// TestDashboardShowsWhatThereIs: every panel asks for metrics that there are, of the data
// source that is chosen, and no two lie on each other.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/grafana/tidegate.json")
	if err != nil {
		t.Fatal(err)
	}
	var d grafana
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	const chosen = "${datasource}"
	known := scraped(t)
	var rows []string
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for i := range d.Panels {
		p := &d.Panels[i]
		if ids[p.ID] || p.ID == 0 || p.GridPos.X+p.GridPos.W > 24 || p.Title == "" {
			t.Errorf("%q has the id of another, no place or no title", p.Title)
		}
		ids[p.ID] = true
		for x := range 24 {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if !p.covers(x, y) {
					continue
				}
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != chosen {
			t.Errorf("%q asks for nothing, or another data source", p.Title)
		}
		for _, target := range p.Targets {
			if missing := unknown(known, filled.Replace(target.Expr)); len(missing) > 0 || target.Datasource.UID != chosen {
				t.Errorf("%q: /metrics has no %v", p.Title, missing)
			}
		}
	}
	if !slices.Equal(rows, []string{"Backlog", "Targets", "Money", "Workers"}) || d.UID == "" || d.SchemaVersion == 0 {
		t.Errorf("rows: %v", rows)
	}
	for _, v := range d.Templating.List {
		metric, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ",")
		if v.Type == "query" && (v.Datasource.UID != chosen || len(unknown(known, metric)) > 0) {
			t.Errorf("the variable %s: %s", v.Name, v.Definition)
		}
	}
}
