package controllers

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// TestLinesNameTheirTenant: those of a reconcile do, those of the controller itself have none to name.
func TestLinesNameTheirTenant(t *testing.T) {
	var line string
	logger := tenantLog(funcr.New(func(_, text string) { line = text }, funcr.Options{}))
	request := requestFor("acme")
	logger(&request).Info("x")
	if !strings.Contains(line, `"controller"="tenants" "tenant"="acme"`) {
		t.Errorf("a reconcile logs %s", line)
	}
	logger(nil).Info("x")
	if !strings.Contains(line, `"controller"="tenants"`) || strings.Contains(line, `"tenant"=`) {
		t.Errorf("the controller logs %s", line)
	}
}

// TestUnread: only what is not watched yet goes without saying.
func TestUnread(t *testing.T) {
	early := error(&cache.ErrResourceNotCached{})
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"not watched yet":                {early, 0},
		"neither of two":                 {errors.Join(early, early), 0},
		"a failure":                      {errors.New("timeout"), 1},
		"a failure beside what is early": {errors.Join(early, errors.New("timeout")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			lines := 0
			log := funcr.New(func(_, _ string) { lines++ }, funcr.Options{})
			unread(ctrl.LoggerInto(t.Context(), log), tc.err, "they are looked at later")
			if lines != tc.want {
				t.Errorf("%d lines; want %d", lines, tc.want)
			}
		})
	}
}
