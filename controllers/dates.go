package controllers

import "time"

// How long to wait for a date.
const (
	// atLeast keeps a clock that steps back from making a busy loop of the moment before a date.
	atLeast = 10 * time.Millisecond
	// overdue is for a date that is past, and brought nothing: what it stands for could not be done.
	overdue = time.Second
	// atMost is how late a date may be noticed when timers go wrong: they count running time, and machines are paused, moved
	// and have their clocks set. Looking costs no request and, when nothing is due, no write.
	atMost = 12 * time.Hour
)

// until is the time to wait for a date; zero when there is none.
func until(date, now time.Time) time.Duration {
	switch {
	case date.IsZero():
		return 0
	case !date.After(now):
		return overdue
	}
	return min(atMost, max(atLeast, date.Sub(now)))
}
