package keyring_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// calendar runs 50 tenants hour by hour. All were made at the same moment, which is the worst start.
type calendar struct {
	w       *world
	tenants []*kept
	// perHour counts rotations.
	perHour map[time.Time]int
}

var periods = []time.Duration{30 * day, 60 * day, 90 * day, 365 * day}

func newCalendar(t *testing.T) *calendar {
	c := &calendar{w: newWorld(t), perHour: map[time.Time]int{}}
	for i := range 50 {
		req := request()
		req.Tenant, req.TenantUID, req.KeyURI = fmt.Sprintf("tenant-%d", i), fmt.Sprintf("uid-%d", i), fmt.Sprintf("one://kek-%d", i)
		req.RotationPeriod, req.RetireAfter = periods[i%len(periods)], 365*day
		k := keep(c.w, req)
		k.settle()
		c.tenants = append(c.tenants, k)
	}
	return c
}

// hour visits those tenants that are, or were, due by the end of the hour, and each tenant every fifth day.
func (c *calendar) hour(nth int) {
	now := c.w.clock.Now()
	for i, k := range c.tenants {
		if k.told.Before(now.Add(time.Hour)) || (nth+i)%120 == 0 {
			c.visit(k)
		}
	}
	c.w.clock.SetTime(now.Add(time.Hour))
}

func (c *calendar) visit(k *kept) {
	before, hour := len(k.rotations), c.w.clock.Now()
	k.settle()
	c.perHour[hour] += len(k.rotations) - before
}

func (c *calendar) burst() int {
	most := 0
	for _, n := range c.perHour {
		most = max(most, n)
	}
	return most
}

// maxBurst is a tenth of the tenants.
const maxBurst = 5

// Over 400 days every key is rotated as often as promised and not once more, whatever the process does in between.
func TestFourHundredDays(t *testing.T) {
	c := newCalendar(t)
	dice := rand.New(rand.NewPCG(4, 164))
	end := start.Add(400 * day)
	expected, rotations, afterRestart, restarts := 0, 0, 0, 0
	promised := make([]time.Time, len(c.tenants))
	for i, k := range c.tenants {
		promised[i] = k.told
	}
	for nth := 0; c.w.clock.Now().Before(end); nth++ {
		if dice.IntN(200) == 0 {
			c.w.restart()
			restarts++
			for _, k := range c.tenants {
				due := !c.w.clock.Now().Before(k.told)
				before := len(k.rotations)
				c.visit(k)
				if n := len(k.rotations) - before; n > 0 && !due {
					afterRestart += n
				}
			}
		}
		c.hour(nth)
		for i, k := range c.tenants {
			if k.told.Equal(promised[i]) {
				continue
			}
			last := k.rotations[len(k.rotations)-1]
			if late := last.Sub(promised[i]); late < 0 || late > time.Hour {
				t.Errorf("tenant %d: promised for %s, rotated at %s", i, promised[i], last)
			}
			expected++ // a promise that was due
			promised[i] = k.told
		}
	}
	for i, k := range c.tenants {
		rotations += len(k.rotations)
		period := k.req.RotationPeriod
		if least, most := int(400*day/period), int(400*day/(period-period/10)); len(k.rotations) < least || len(k.rotations) > most {
			t.Errorf("tenant %d: %d rotations in 400 days at a period of %s; expected %d to %d", i, len(k.rotations), period, least, most)
		}
		made := start
		for _, at := range append(k.rotations, end) {
			if at.Sub(made) > period {
				t.Errorf("tenant %d: a key was primary for %s; the period is %s", i, at.Sub(made), period)
			}
			made = at
		}
		if promised[i].Before(end.Add(-time.Hour)) {
			expected++ // a promise that was broken
		}
	}
	report.Line("keys: rotation tenants=%d days=400 rotations=%d expected=%d after-restart=%d burst=%d", len(c.tenants), rotations, expected, afterRestart, c.burst())
	if rotations != expected || afterRestart != 0 || c.burst() > maxBurst || restarts < 20 {
		t.Errorf("%d rotations, expected %d; %d after one of %d restarts, expected none; at most %d in an hour, expected up to %d",
			rotations, expected, afterRestart, restarts, c.burst(), maxBurst)
	}
}

// After an absence in which every tenant came due, several times over, each is rotated once, within a day, and not all at
// the same moment.
func TestAbsence(t *testing.T) {
	c := newCalendar(t)
	c.w.clock.SetTime(start.Add(380 * day))
	c.w.restart()
	for nth := range 48 {
		c.hour(nth)
	}
	for i, k := range c.tenants {
		if len(k.rotations) != 1 || k.rotations[0].After(start.Add(381*day+time.Hour)) {
			t.Errorf("tenant %d: rotations at %v; expected one within a day", i, k.rotations)
		}
	}
	// Short periods are spread over a part of themselves, so that some end up in the same hours.
	if b := c.burst(); b > 2*maxBurst {
		t.Errorf("%d rotations in an hour; expected up to %d", b, 2*maxBurst)
	}
}
