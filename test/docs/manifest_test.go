package docs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// wholes are the samples that a piece is put into.
var wholes = map[string]string{
	"HIPAATenant":       "config/samples/20-tenant-acme-health.yaml",
	"HIPAAProfile":      "config/samples/00-profile.yaml",
	"BusinessAssociate": "config/samples/11-associate-clearinghouse.yaml",
	"EmergencyAccess":   "config/samples/30-emergencyaccess.yaml",
	"Deployment":        "config/samples/tenant-app/deployment.yaml",
}

// values are the charts of values files, and what a file needs besides that shows only some of them.
var values = map[string][]string{
	"hipaa-tenant":          {"-f", "charts/hipaa-tenant/ci/acme.yaml"},
	"hipaa-tenant-operator": nil,
}

// judge asks who has to take it whether a block of YAML is right: the API server, without storing anything and strictly, or
// helm with the chart's schema.
type judge struct {
	shell *shell
}

func (j *judge) validate(ctx context.Context, b *block) error {
	name, path, _ := strings.Cut(b.directives[part], ".")
	switch extra, chart := values[name]; {
	case name == alertRules:
		return validAlerts(b.code)
	case chart:
		return j.template(ctx, b.code, name, extra)
	case name == "":
		return j.apply(ctx, b.code)
	case wholes[name] == "":
		return fmt.Errorf("a piece is of one of %v, or values of one of %v, found %q",
			slices.Sorted(maps.Keys(wholes)), slices.Sorted(maps.Keys(values)), name)
	default:
		object, err := whole(name, path, b.code)
		if err != nil {
			return err
		}
		text, err := object.MarshalJSON()
		if err != nil {
			return err
		}
		return j.apply(ctx, string(text))
	}
}

// template renders the chart with the values, and has the API server look at what comes out.
func (j *judge) template(ctx context.Context, code, chart string, extra []string) error {
	given, err := j.keep(code)
	if err != nil {
		return err
	}
	if strings.Contains(code, "\ncoveredEntity:") { // the file is whole
		extra = nil
	}
	line := "helm template release charts/" + chart + " -n hipaa-system " + strings.Join(extra, " ") + " -f " + given
	rendered, err := j.shell.run(ctx, line)
	if err != nil {
		return err
	}
	return j.apply(ctx, rendered)
}

// apply has the API server take objects as if they were applied. Namespaces that the page would make are made.
func (j *judge) apply(ctx context.Context, text string) error {
	given, err := j.keep(text)
	if err != nil {
		return err
	}
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
			return err
		}
		if object.GetKind() == "" && len(object.Object) > 0 {
			return fmt.Errorf("it has no apiVersion and kind; say what it is a part of, such as <!-- %s: HIPAATenant.spec -->", part)
		}
		if namespace := object.GetNamespace(); namespace != "" {
			line := "kubectl get namespace " + namespace + " >/dev/null 2>&1 || kubectl create namespace " + namespace
			if _, err := j.shell.run(ctx, line); err != nil {
				return err
			}
		}
	}
	_, err = j.shell.run(ctx, "kubectl apply --server-side --force-conflicts --dry-run=server --validate=strict -f "+given)
	return err
}

// keep writes a file that only the next command reads.
func (j *judge) keep(text string) (string, error) {
	path := filepath.Join(j.shell.dir, "judged.yaml")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// whole is a sample with the piece in it, below the path; what the piece says beats what the sample says.
func whole(kind, path, piece string) (*unstructured.Unstructured, error) {
	text, err := os.ReadFile(filepath.Join(root(), wholes[kind]))
	if err != nil {
		return nil, err
	}
	var below any
	if err := yaml.UnmarshalStrict([]byte(piece), &below); err != nil {
		return nil, err
	}
	if path != "" {
		for _, name := range slices.Backward(strings.Split(path, ".")) {
			below = map[string]any{name: below}
		}
	}
	content, ok := below.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a piece of an object was expected, found %T", below)
	}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, err
		}
		if object.GetKind() != kind {
			continue
		}
		if object.GetNamespace() == "" && kind == "Deployment" {
			object.SetNamespace("acme-health-app")
		}
		merge(object.Object, content)
		if kind == "EmergencyAccess" { // its spec cannot be changed
			object.SetName("another")
		}
		return object, nil
	}
	return nil, fmt.Errorf("no %s in %s", kind, wholes[kind])
}

// oneOf are fields with one of several members: a new one takes the place of the old one.
var oneOf = []string{"authentication"}

// merge puts what is new over what is there, name by name. Lists are replaced.
func merge(there, fresh map[string]any) {
	for name, value := range fresh {
		below, isMap := value.(map[string]any)
		old, wasMap := there[name].(map[string]any)
		if isMap && wasMap && !slices.Contains(oneOf, name) {
			merge(old, below)
			continue
		}
		there[name] = value
	}
}

// alertRules are the members of a group of rules for Prometheus.
const alertRules = "alert rules"

// validAlerts says whether rules have fields that Prometheus knows, and metrics that the operator has.
func validAlerts(code string) error {
	var rules []struct {
		Alert, Expr, For, KeepFiringFor string
		Labels, Annotations             map[string]string
	}
	if err := yaml.UnmarshalStrict([]byte(code), &rules); err != nil {
		return err
	}
	known, err := metricNames()
	if err != nil {
		return err
	}
	for _, r := range rules {
		found := metricName.FindAllString(r.Expr, -1)
		if r.Alert == "" || len(found) == 0 {
			return fmt.Errorf("a rule has a name and an expression over the operator's metrics, found %+v", r)
		}
		for _, name := range found {
			if !slices.Contains(known, name) {
				return fmt.Errorf("the operator has no metric %s", name)
			}
		}
	}
	return nil
}

var metricName = regexp.MustCompile(`\bhipaatenant_[a-z0-9_]+`)

// metricNames are those that the code of the operator spells.
func metricNames() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root(), "controllers", "*.go"))
	var names []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		names = append(names, metricName.FindAllString(string(text), -1)...)
	}
	return names, err
}

// validJSON says whether a block is one JSON document.
func validJSON(code string) error {
	decoder := json.NewDecoder(strings.NewReader(code))
	var v any
	if err := decoder.Decode(&v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON document")
	}
	return nil
}
