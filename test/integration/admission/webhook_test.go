package admission_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionreviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// patchAnnotation of a pod holds the JSON patch the webhook answers with.
const patchAnnotation = "test/patch"

// meddled is a pod that the webhook changes after the policies ran.
func meddled(patch, spec string, annotations ...string) string {
	return pod(spec, fmt.Sprintf("labels: {test/meddle: here}, annotations: {%s: '%s'%s}", patchAnnotation, patch, more(annotations...)))
}

const (
	required0 = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"
	abroad    = `{"matchExpressions":[{"key":"topology.kubernetes.io/region","operator":"In","values":["eu-west-1"]}]}`
	sidecar   = `[{"op":"add","path":"/spec/containers/-","value":{"name":"sidecar","image":"example/sidecar"}}]`
	// complete is a pod that needs nothing.
	complete = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [" + ours + "]}]}}}"
	stamped  = `hipaatenant.dev/config-hash: "` + hash + `"`
)

// meddledRows are about what a cluster's own webhooks do after the policies: a mesh adds containers, an autoscaler terms.
var meddledRows = []pt.Row{
	{Name: "a container more", Do: configured(meddled(sidecar, ""), "{main: ["+injected+", "+injected+"], stamp: "+hash+"}")},
	{Name: "a container more, in a pod that came complete", Do: configured(
		meddled(sidecar, complete, stamped), "{main: ["+injected+", "+injected+"], stamp: "+hash+"}")},
	{Name: "the sources removed", Do: configured(
		meddled(`[{"op":"remove","path":"/spec/containers/0/envFrom"}]`, ""), "{main: ["+injected+"], stamp: "+hash+"}")},
	{Name: "another stamp", Do: configured(
		meddled(`[{"op":"add","path":"/metadata/annotations/hipaatenant.dev~1config-hash","value":"forged"}]`, ""), "{main: ["+injected+"], stamp: "+hash+"}")},
	{Name: "a term more", Do: steered(
		meddled(`[{"op":"add","path":"`+required0+`/-","value":`+abroad+`}]`, ""),
		"[{matchExpressions: ["+ours+"]}, {matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}, "+ours+"]}]")},
	{Name: "a term more, in a pod that came complete", Do: steered(
		meddled(`[{"op":"add","path":"`+required0+`/-","value":`+abroad+`}]`, complete, stamped),
		"[{matchExpressions: ["+ours+"]}, {matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}, "+ours+"]}]")},
	{Name: "other terms", Do: steered(
		meddled(`[{"op":"replace","path":"`+required0+`","value":[`+abroad+`]}]`, ""),
		"[{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}, "+ours+"]}]")},
	{Name: "the affinity removed", Do: steered(
		meddled(`[{"op":"remove","path":"/spec/affinity"}]`, complete, stamped), "[{matchExpressions: ["+ours+"]}]")},
}

var _ = Describe("placement has the last word over a webhook that makes of a pod", Ordered, ContinueOnFailure, func() {
	BeforeAll(func(ctx context.Context) {
		server := httptest.NewTLSServer(http.HandlerFunc(meddle))
		DeferCleanup(server.Close)
		Expect(env.Admin.Create(ctx, webhook(server))).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.Admin.Delete(ctx, webhook(server))).To(Succeed()) })
		// Its answer names the container the patch adds twice, which the API server refuses.
		probe := pt.DryRun(meddled(`[{"op":"add","path":"/spec/containers/-","value":{"name":"web","image":"example/web"}}]`, ""))
		Expect(env.Try(ctx, pt.Row{As: pt.Admin, Want: pt.Allowed(), Do: pt.Eventually("the webhook", func(ctx context.Context, s *pt.Session) error {
			if probe(ctx, s) == nil {
				return errors.New("not called yet")
			}
			return nil
		})})).To(Succeed())
	})
	for _, row := range meddledRows {
		It(row.Name, func(ctx context.Context) { Expect(env.Try(ctx, row)).To(Succeed()) })
	}
})

// webhook is asked about labelled pods only. The policies run before it, and again after it.
func webhook(server *httptest.Server) *admissionv1.MutatingWebhookConfiguration {
	none, fail, url := admissionv1.SideEffectClassNone, admissionv1.Fail, server.URL
	return &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: named("meddler"),
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "meddler.example.com", SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"},
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"test/meddle": "here"}},
			ClientConfig: admissionv1.WebhookClientConfig{
				URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
}

// meddle answers with the patch that the pod's annotation holds.
func meddle(w http.ResponseWriter, r *http.Request) {
	var review admissionreviewv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(review.Request.Object.Raw, &object); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	kind := admissionreviewv1.PatchTypeJSONPatch
	review.Response = &admissionreviewv1.AdmissionResponse{
		UID: review.Request.UID, Allowed: true, PatchType: &kind, Patch: []byte(object.Annotations[patchAnnotation]),
	}
	if err := json.NewEncoder(w).Encode(review); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
