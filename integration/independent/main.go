package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"tidegate/integration/bench"
)

// A plan is what is checked.
type plan struct {
	program  string
	perRoute int           // questions of each route in the rounds calm and chaos; half as many in the round refusals
	within   time.Duration // that a round may take
}

func main() { bench.Main("independent", run) }

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	questions := p.questions()
	stage, err := open(ctx, p.program, questions)
	if err != nil {
		return err
	}
	defer stage.close()
	began := time.Now()
	r := &report{Mock: mockPackage + " " + mockVersion}
	if r.words, err = hear(ctx, stage.mocks); err != nil {
		return err
	}
	if err := stage.startWorkers(); err != nil {
		return err
	}
	if err := p.playAll(ctx, stage, questions, r); err != nil {
		return err
	}
	r.Seconds = bench.Seconds(time.Since(began))
	return r.finish(os.Stdout, stage.verify(ctx, questions, r))
}

func parse(args []string) (plan, error) {
	var p plan
	flags := flag.NewFlagSet("independent", flag.ContinueOnError)
	flags.StringVar(&p.program, "program", "bin/tidegate", "the built tidegate")
	flags.IntVar(&p.perRoute, "per-route", 300, "questions of each of the four routes in the rounds calm and chaos; half as many meet scripted refusals")
	flags.DurationVar(&p.within, "within", 2*time.Minute, "how long a round may take")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.perRoute < 150 || p.perRoute > 10_000 || p.within <= 0 {
		return p, errors.New("--per-route must be from 150 to 10000, --within above zero")
	}
	return p, nil
}

// limited is how many questions meet the limit that is announced, which lets one go
// each second; forerunners of them come first, and are told of it.
const limited, forerunners = 16, 4

// everyFourth question of its round meets a scripted refusal.
const everyFourth = 4

// questions makes those of all rounds, round by round; within each, the routes and
// the shapes take turns.
func (p plan) questions() (all []question) {
	sizes := map[string]int{calmRound: p.perRoute, refusedRound: p.perRoute / 2, chaosRound: p.perRoute}
	for _, round := range rounds {
		for i := range sizes[round] {
			for _, route := range routes {
				q := question{number: len(all), round: round, route: route, shape: shapes[i%len(shapes)]}
				if round == refusedRound && i%everyFourth == 0 {
					scripts := scriptedFor(route, q.first())
					q.script = scripts[i/everyFourth%len(scripts)]
				}
				all = append(all, q)
			}
		}
	}
	for i := range limited {
		all = append(all, question{number: len(all), round: limitedRound, route: dialects[0], shape: shapes[i%len(shapes)]})
	}
	return all
}

// playAll plays the rounds and stops the workers, so that what they had in hand is
// written down.
func (p plan) playAll(ctx context.Context, s *stage, questions []question, r *report) error {
	for _, round := range rounds {
		own := ofRound(questions, round)
		bench.Say("%s: %d questions …", round, len(own))
		took, err := s.play(ctx, round, own, p.within)
		if err != nil {
			return err
		}
		r.rounds = append(r.rounds, roundFigures{name: round, questions: len(own), span: took})
	}
	s.stopWorkers()
	return nil
}

func ofRound(questions []question, round string) (own []question) {
	for _, q := range questions {
		if q.round == round {
			own = append(own, q)
		}
	}
	return own
}
