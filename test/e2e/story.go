package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// story is a part of the product's life that is told on real nodes.
type story struct {
	name string
	// tell does it, and returns the figures to print, such as "passed=0".
	tell func(w *world, ctx context.Context) (figures string, err error)
}

// stories in their order. Each builds on the world as those before it left it; install, onboard and app are told in any case.
func stories() []story {
	return []story{
		{"upgrade", (*world).upgrade},
		{"install", (*world).install},
		{"onboard", (*world).onboard},
		{"app", (*world).runApp},
		{"outside", (*world).outside},
		{"probe", (*world).probe},
		{"budget", (*world).budget},
		{"takeover", (*world).takeover},
		{"restart", (*world).restart},
		{"emergency", (*world).emergency},
		{"misplaced", (*world).misplaced},
		{"offboard", (*world).offboard},
	}
}

func names() (all []string) {
	for _, s := range stories() {
		all = append(all, s.name)
	}
	return all
}

func known(chosen []string) error {
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("expected -only to name some of %s, found %q", strings.Join(names(), ", "), name)
		}
	}
	return nil
}

// errTarget says that all went well, and a figure is not what it has to be.
var errTarget = errors.New("a target was missed")

// needed are the stories that all others take place in.
var needed = []string{"install", "onboard", "app"}

// tells says whether a story was asked for, or has to be told in any case.
func (o *options) tells(name string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, name) || slices.Contains(needed, name)
}

// tell tells the stories that were asked for. One that does not hold keeps no other from being told, but for the needed ones.
func (w *world) tell(ctx context.Context) error {
	var problems error
	for _, s := range stories() {
		if !w.tells(s.name) || s.name == "upgrade" && w.Built.Previous.Version == "" {
			continue
		}
		fmt.Printf("\n--- %s\n", s.name)
		began := time.Now()
		figures, err := s.tell(w, ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			w.explain(ctx, err)
			problems = errors.Join(problems, fmt.Errorf("%s: %w", s.name, err))
		}
		line := strings.TrimSpace(fmt.Sprintf("e2e: %s %s %.1fs %s", s.name, verdict(err == nil), time.Since(began).Seconds(), figures))
		fmt.Println(line)
		w.lines = append(w.lines, line)
		if err != nil && !errors.Is(err, errTarget) && slices.Contains(needed, s.name) {
			break
		}
	}
	fmt.Println()
	for _, line := range w.lines {
		fmt.Println(line)
	}
	return problems
}
