// Package atrest judges how the API servers store Secrets, from what their metrics count around a real write. It is pure:
// metrics are read, and Secrets written, by the caller.
//
// What metrics tell is what an API server says it did. Nothing but reading etcd proves what lies there
// (https://github.com/kubernetes/kubernetes/pull/126512), so verdicts say "observed".
package atrest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics of kube-apiserver that are read; most of them are of stability ALPHA.
const (
	metricTransformations = "apiserver_storage_transformation_operations_total"
	metricConfig          = "apiserver_encryption_config_controller_last_config_info"
	metricRequests        = "apiserver_request_total"
	metricStart           = "process_start_time_seconds"
)

// What may be read of one answer. An API server with many kinds answers with a few megabytes, of which a few lines count.
const (
	maxAnswer = 256 << 20
	maxLine   = 64 << 10
	maxKept   = 4 << 20
)

// Scrape is what one answer of /metrics tells.
type Scrape struct {
	// Server is the hash of the API server's identity; empty when it has no encryption configuration, because nothing
	// else in the metrics carries it.
	Server string
	// Process tells apart the processes that answer on one address: the time it started.
	Process string
	// Config is the hash of the encryption configuration; empty when there is none.
	Config string

	requests float64            // writes of Secrets that were answered with success
	written  map[string]float64 // to_storage, by prefix of the transformer
	read     map[string]float64 // from_storage
}

// Read reads an answer of /metrics. Lines that tell nothing here are not kept.
func Read(answer io.Reader) (Scrape, error) {
	kept, err := filter(io.LimitReader(answer, maxAnswer+1))
	if err != nil {
		return Scrape{}, err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(kept)
	if err != nil {
		return Scrape{}, fmt.Errorf("expected metrics in the text format: %w", err)
	}
	s := Scrape{written: map[string]float64{}, read: map[string]float64{}}
	s.Process = processOf(families[metricStart])
	if s.Process == "" {
		return s, fmt.Errorf("expected the metrics of an API server, found none named %s", metricStart)
	}
	for _, m := range families[metricConfig].GetMetric() {
		s.Server, s.Config = label(m, "apiserver_id_hash"), label(m, "hash")
	}
	for _, m := range families[metricRequests].GetMetric() {
		if changes(m) {
			s.requests += value(m)
		}
	}
	for _, m := range families[metricTransformations].GetMetric() {
		if label(m, "resource") == "secrets" && label(m, "status") == "OK" {
			s.count(m)
		}
	}
	return s, nil
}

// count adds up what went through a provider. A provider with several keys counts each of them besides itself, by the
// name of the key.
func (s *Scrape) count(m *dto.Metric) {
	stored := label(m, "transformer_prefix")
	switch kind := label(m, "transformation_type"); {
	case kind == "to_storage" && (stored == "" || strings.HasPrefix(stored, prefix)):
		s.written[stored] += value(m)
	case kind == "from_storage" && (stored == identity || strings.HasPrefix(stored, prefix)):
		s.read[stored] += value(m)
	}
}

// changes says that a request wrote a Secret.
func changes(m *dto.Metric) bool {
	switch label(m, "verb") {
	case "APPLY", "PATCH", "PUT", "POST":
	default:
		return false
	}
	return label(m, "resource") == "secrets" && label(m, "subresource") == "" && label(m, "dry_run") == "" &&
		strings.HasPrefix(label(m, "code"), "2")
}

// filter keeps the lines of the metrics that are read here, with their types.
func filter(answer io.Reader) (io.Reader, error) {
	kept, total := &bytes.Buffer{}, 0
	lines := bufio.NewScanner(answer)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		line := lines.Bytes()
		total += len(line) + 1
		if total > maxAnswer || kept.Len() > maxKept {
			return nil, fmt.Errorf("expected an answer of at most %d MiB, found more", maxAnswer>>20)
		}
		if wanted(line) {
			kept.Write(line)
			kept.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("expected lines of at most %d bytes, found a longer one", maxLine)
		}
		return nil, err
	}
	return kept, nil
}

func wanted(line []byte) bool {
	if rest, ok := bytes.CutPrefix(line, []byte("# TYPE ")); ok {
		line = rest
	}
	end := bytes.IndexAny(line, " {")
	if end < 0 {
		return false
	}
	switch string(line[:end]) {
	case metricTransformations, metricRequests:
		return line[end] == ' ' || bytes.Contains(line, []byte(`resource="secrets"`))
	case metricConfig, metricStart:
		return true
	}
	return false
}

func processOf(f *dto.MetricFamily) string {
	for _, m := range f.GetMetric() {
		return strconv.FormatFloat(value(m), 'f', -1, 64)
	}
	return ""
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func value(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return m.GetUntyped().GetValue()
}
