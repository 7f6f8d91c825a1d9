package main

import (
	"flag"
	"io"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

func (o *options) logFlags(f *flag.FlagSet) {
	o.log.BindFlags(f)
	for name, usage := range map[string]string{
		"zap-devel":            "for people who develop: console encoding, level debug, stack traces from warnings on",
		"zap-encoder":          "`form` of a line: json or console (default json)",
		"zap-log-level":        "least `level` that is written: debug, info, error, panic, or a number above 0 for more detail than debug (default info). Audit records are always written",
		"zap-stacktrace-level": "least `level` that is written with a stack trace: info, error or panic (default error)",
		"zap-time-encoding":    "`form` of field ts: epoch, millis, nano, iso8601, rfc3339 or rfc3339nano (default rfc3339)",
	} {
		f.Lookup(name).Usage = usage
	}
}

// logTo makes one writer of all that is logged: what the libraries of Kubernetes say goes the same way as what the operator
// does, or a line of theirs would not be readable by the machine that reads the others.
func (o *options) logTo(w io.Writer) {
	logger := zap.New(zap.UseFlagOptions(&o.log), zap.WriteTo(w))
	ctrl.SetLogger(logger)
	klog.SetLoggerWithOptions(logger.WithName("kubernetes"), klog.ContextualLogger(true))
}

// auditLog writes every record: neither the level that was asked for nor the sampling that guards against floods takes any away.
// Sampling is off below level debug.
func (o *options) auditLog(w io.Writer) logr.Logger {
	return zap.New(zap.UseFlagOptions(&o.log), zap.WriteTo(w), zap.Level(zapcore.DebugLevel-1)).WithName("audit")
}
