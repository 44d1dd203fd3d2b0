package routing

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// candidates are n of them, as their chain has them.
func candidates(n int) ([]int, []Candidate) {
	order, all := make([]int, n), make([]Candidate, n)
	for i := range n {
		order[i] = i
		all[i].Target = &jobs.Target{Name: fmt.Sprintf("t%d", i)}
	}
	return order, all
}

// Whatever is in the registry keeps the contract; a new strategy is tested
// before its author writes a test.
func TestStrategiesKeepTheirContract(t *testing.T) {
	t.Parallel()
	for name, strategy := range strategies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				all := anyCandidates(t)
				order := make([]int, len(all))
				for i := range order {
					order[i] = i
				}
				before := slices.Clone(all)
				strategy(order, make([]jobs.Score, len(order)), all)
				if !slices.Equal(all, before) {
					t.Fatal("it changed the candidates")
				}
				slices.Sort(order)
				for i, index := range order {
					if index != i {
						t.Fatalf("it is no permutation: sorted, %v", order)
					}
				}
			})
		})
	}
}

func TestStrategiesAllocateNothing(t *testing.T) {
	for name, strategy := range strategies {
		order, all := candidates(10)
		scores := make([]jobs.Score, len(order))
		if n := testing.AllocsPerRun(100, func() { strategy(order, scores, all) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestOrderedTakesTheChainAsItIsWritten(t *testing.T) {
	t.Parallel()
	order, all := candidates(5)
	ordered(order, make([]jobs.Score, 5), all)
	if !slices.IsSorted(order) {
		t.Errorf("the order is %v", order)
	}
}

func TestRouteFollowsTheStrategy(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c")
	s.router.Choose(Choosing{Strategies: map[string]Strategy{
		"backwards": func(order []int, _ []jobs.Score, _ []Candidate) { slices.Reverse(order) },
	}})
	s.asks(&jobs.Request{Goal: "backwards"}).down("c").down("b").tries().to("a").calls("b", 1).calls("c", 1)
	var names []string
	for _, attempt := range s.history.Attempts() {
		names = append(names, attempt.Target)
	}
	if !slices.Equal(names, []string{"c", "b", "a"}) {
		t.Errorf("the order is %v", names)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	if got := Goals(); !slices.IsSorted(got) || !slices.Contains(got, Ordered) {
		t.Errorf("the goals are %v", got)
	}
}
