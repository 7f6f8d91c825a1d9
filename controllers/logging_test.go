package controllers

import (
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
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
