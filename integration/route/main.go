package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/integration/bench"
	"tidegate/routing"
)

// A plan is what is measured.
type plan struct {
	bench.Options
	data   string // its folder; empty: there is none
	only   string // worlds
	models int
	seeds  int
	lasts  time.Duration
	rate   float64
	ample  float64 // room, times the even part of each provider
	tight  float64
}

func main() { bench.Main("route", measure) }

func measure(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	scenes, err := p.scenes()
	if err != nil {
		return err
	}
	if err := p.play(ctx, scenes); err != nil {
		return err
	}
	f := summarise(scenes)
	return p.Finish(os.Stdout, p.table(scenes, f), f, f.bars())
}

func parse(args []string) (plan, error) {
	p := plan{data: os.Getenv("DATA")}
	flags := flag.NewFlagSet("route", flag.ContinueOnError)
	p.Register(flags)
	flags.StringVar(&p.only, "only", "", "the worlds whose names begin so; empty: all")
	flags.IntVar(&p.models, "models", 3, "of the data, those with the most providers")
	flags.IntVar(&p.seeds, "seeds", 3, "each with another day and other luck")
	flags.DurationVar(&p.lasts, "lasts", 4*time.Hour, "how long requests come")
	flags.Float64Var(&p.rate, "rate", 5, "requests a second")
	flags.Float64Var(&p.ample, "ample", 6, "room where there is plenty, times the even part of each provider")
	flags.Float64Var(&p.tight, "tight", 3.5, "room where there is little")
	err := flags.Parse(args)
	if err == nil && (p.models < 1 || p.seeds < 1 || p.lasts < time.Hour || p.rate <= 0 || p.tight <= 1 || p.ample < p.tight) {
		err = fmt.Errorf("--models and --seeds must be above zero, --lasts at least 1h, --rate above zero, --tight above 1, --ample no less")
	}
	return p, err
}

// fastest are the weights by which estimators are compared: those of a goal that wants
// money, too, would go to a target that is slow and cheap, and tell less of what is
// known of it. Success counts a little, for ewma's average knows no failures; what is
// decayed has them in its latency already.
var fastest = routing.Weights{Success: 0.2, Latency: 0.8}

// ways are those to choose, by name.
var ways = map[string]func(seed uint64) picker{
	"decayed": func(uint64) picker {
		return ours{estimator: routing.Decayed, weights: fastest, explore: routing.DefaultExplore}
	},
	"ewma": func(uint64) picker {
		return ours{estimator: routing.EWMA, weights: fastest, explore: routing.DefaultExplore}
	},
	"ewma alone":  func(uint64) picker { return ours{estimator: routing.EWMA, weights: fastest} },
	"round robin": func(uint64) picker { return &roundRobin{} },
	"peak p2c":    func(seed uint64) picker { return newPeak(seed) },
	"oracle":      func(uint64) picker { return oracle{} },
}

// A scene is a world, which differs by its seed, under one way to choose.
type scene struct {
	world, room, way string
	times            float64
	seed             uint64
	make             func() *world
	figures          *figures
	recovered        []float64
}

// scenes lists all that is measured.
func (p *plan) scenes() ([]*scene, error) {
	var all []*scene
	add := func(name, room string, times float64, seed uint64, make func() *world, of ...string) {
		for _, way := range of {
			if !strings.HasPrefix(name, p.only) {
				continue
			}
			all = append(all, &scene{world: name, room: room, way: way, times: times, seed: seed, make: make})
		}
	}
	every := slices.Sorted(maps.Keys(ways))
	worlds, err := p.worlds()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(worlds)) {
		for seed := range uint64(p.seeds) {
			make := func() *world { return worlds[name](seed) }
			add(name, "ample", p.ample, seed, make, every...)
			add(name, "tight", p.tight, seed, make, every...)
		}
	}
	for seed := range uint64(p.seeds) {
		add("equal", "ample", p.ample, seed, func() *world { return equal(6, p.lasts, p.rate) }, "decayed", "round robin")
		add("relapsing", "ample", p.ample, seed, func() *world {
			return relapsing(p.lasts, p.rate, rand.New(rand.NewPCG(seed, 9)))
		}, "decayed", "ewma")
	}
	return all, nil
}

// firstDay is that of the data from which on there is a reading each quarter of an
// hour.
var firstDay = time.Date(2026, 8, 8, 12, 0, 0, 0, time.UTC)

// worlds are those of the data, or made-up ones, by name.
func (p *plan) worlds() (map[string]func(seed uint64) *world, error) {
	found := map[string]func(uint64) *world{}
	if p.data == "" {
		for _, n := range []int{4, 6, 8} {
			found[fmt.Sprintf("synthetic-%d", n)] = func(seed uint64) *world {
				return synthetic(n, p.lasts, p.rate, rand.New(rand.NewPCG(seed, uint64(n))))
			}
		}
		return found, nil
	}
	var windows []time.Time
	for i := range p.seeds {
		windows = append(windows, firstDay.AddDate(0, 0, 4*i%14))
	}
	models, err := load(p.data, windows, p.lasts)
	if err != nil {
		return nil, err
	}
	names := slices.SortedFunc(maps.Keys(models), func(a, b string) int {
		return cmp.Or(len(models[b])-len(models[a]), cmp.Compare(trouble(models[b]), trouble(models[a])), cmp.Compare(a, b))
	})
	for i, name := range names[:min(p.models, len(names))] {
		found[name] = func(seed uint64) *world {
			return worldOf(name, models[name], int(seed), p.lasts, p.rate, rand.New(rand.NewPCG(seed, uint64(i))))
		}
	}
	return found, nil
}

// trouble is how much fails at the endpoints of a model.
func trouble(of []*endpoint) float64 {
	sum := 0.0
	for _, e := range of {
		for _, window := range e.up {
			for _, up := range window {
				if up >= 0 {
					sum += 1 - up
				}
			}
		}
	}
	return sum
}

// play plays all scenes, as many at once as there are processors.
func (p *plan) play(ctx context.Context, scenes []*scene) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range scenes {
		group.Go(func() error {
			if ctx.Err() == nil {
				s.play()
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

func (s *scene) play() {
	w := s.make()
	w.size(s.times)
	s.figures = newRun(w, ways[s.way](s.seed), s.seed).all()
	for _, p := range w.providers {
		for _, slow := range p.slow {
			if took, is := s.figures.shares.recovery(p, slow, w.lasts); is && w.best(p, slow.to) && w.best(p, slow.to+afterSlow) {
				s.recovered = append(s.recovered, took.Seconds())
			}
		}
	}
	s.figures.shares = nil
}
